"""Good photographs -> a model, by the functions of the pipeline's steps, without a store. Imports torch."""

from __future__ import annotations

import io
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from pydantic import ValidationError

from vqi.artifacts.data_report import DataReport
from vqi.artifacts.detector import load_detector, save_detector
from vqi.artifacts.files import write_text
from vqi.artifacts.images import INDEX_FILE, Images, load_images
from vqi.artifacts.metrics import write_metrics
from vqi.config import Evaluate, FeatureExtract, PcaFit, Preprocess, SslFinetune, StepConfig, defaults
from vqi.datasets.layout import GOOD, Dataset, Entry, is_image_name
from vqi.datasets.local import read_file
from vqi.datasets.sources import resolve
from vqi.datasets.splits import KEEP_ALL, divide
from vqi.detectors.registry import fit_detector
from vqi.digests import sha256_file
from vqi.errors import VqiError, printable
from vqi.evaluation import evaluate
from vqi.models.manifest import FILES
from vqi.models.model import Model
from vqi.models.package import write_manifest
from vqi.models.reading import Source, bytes_of, name_of, opened
from vqi.network.backbones import load_backbone, load_parent, save_backbone, save_parent
from vqi.network.building import build
from vqi.network.features import extract_splits
from vqi.pages.contents import report_of
from vqi.photographs import depth
from vqi.photographs.decoding import decode_opened
from vqi.preparation.alone import prepare_alone
from vqi.records import describe
from vqi.self_supervised.methods import finetune as fine_tuned
from vqi.sizes import SHORTEST, square
from vqi.system.scratch import scratch_folder

_NAMELESS = "images"  # the category of photographs that are not in a folder
_PREPARE, _BACKBONE = defaults(Preprocess), defaults(SslFinetune)
_EXTRACT, _FIT = defaults(FeatureExtract), defaults(PcaFit)

Config = TypeVar("Config", bound=StepConfig)


def fit(
    images: str | os.PathLike[str] | Sequence[Source],
    *,
    target_fpr: float = _FIT.target_fpr,
    detector: str = _FIT.kind,
    image_size: str | int = _PREPARE.image_size,
    group_by: str = _PREPARE.group_by,
    backbone: str = _BACKBONE.backbone_name,
    weights: str = _BACKBONE.weights,
    method: str = _BACKBONE.method,
    epochs: int = _BACKBONE.epochs,
    finetune: Mapping[str, Any] | None = None,
    layer: str | Sequence[str] = _EXTRACT.layer,
    pool: int = _EXTRACT.pool,
    variance: float = _FIT.variance,
    scaling: str = _FIT.scaling,
    channels: int = _FIT.channels,
    coordinates: int = _FIT.coordinates,
    shrinkage: float = _FIT.shrinkage,
    bank: int = _FIT.bank,
    normalise: str = _FIT.normalise,
    aggregate: float = _FIT.aggregate,
    folds: int = _FIT.folds,
    engine: str = _EXTRACT.engine,
    precision: str = _EXTRACT.precision,
    seed: int = _FIT.seed,
) -> Model:
    """Learn what good parts look like. The keywords are the pipeline's parameters, with its defaults.

    Args:
        images: A folder of photographs of good parts, or of a category (``train/good``, and what there is of ``test``,
            ``calibration`` and ``ground_truth``; or ``good`` next to folders of defects, of which a part is left for
            the test), as a path, ``file://`` or ``s3://``; or the photographs of good parts, in any form that
            ``Model.score`` takes.
        target_fpr: Share of good parts that may be flagged.
        detector: Its name.
        image_size: What photographs are scaled to: ``320``, ``208x512`` (width x height), ``fit`` or ``fit:320``.
        group_by: Which good photographs are of one part, shift or batch: ``folder``, ``exif:<seconds>``, ``none``, or a
            regular expression that finds the group's name in the path.
        backbone: Name of any torchvision or timm model.
        weights: ``pretrained``, ``random``, or a file with its sha256.
        method: How to fine-tune the backbone; ``pretrained`` leaves it as it is.
        epochs: Of fine-tuning.
        finetune: Settings of the method.
        layer: Layers that are read, the deepest one last.
        pool: Average-pooling kernel over the feature maps.
        variance: Fraction of the variance that the detector's components keep.
        scaling: Of the features' channels.
        channels: Of ``pca``: directions that are kept of the layers' channels; 0 = all.
        coordinates: Of ``mahalanobis`` and ``neighbours``: PCA coordinates that are kept at most.
        shrinkage: Of ``mahalanobis`` and whitened ``neighbours``: weight of equal variances.
        bank: Of ``neighbours``: vectors of good parts.
        normalise: Of ``neighbours``: ``length`` or ``whitened``.
        aggregate: Share of the map's highest cells that makes the score.
        folds: Of the calibration.
        engine: What runs the network.
        precision: ``fp32``, ``bf16`` or ``auto``.
        seed: Of everything random.

    Returns:
        The model, with what was measured on the photographs for the test in ``Model.metrics``.

    Raises:
        VqiError: A keyword is out of its range, or there are too few photographs, or too many that cannot be read.
    """
    preparing = _settings(
        Preprocess, dataset="", category="", image_size=image_size, group_by=group_by, target_fpr=target_fpr
    )
    tuning = _settings(
        SslFinetune,
        method=method,
        backbone_name=backbone,
        weights=weights,
        epochs=epochs,
        layer=layer,
        finetune=dict(finetune or {}),
        seed=seed,
    )
    extracting = _settings(FeatureExtract, layer=layer, pool=pool, engine=engine, precision=precision)
    fitting = _settings(
        PcaFit,
        kind=detector,
        variance=variance,
        scaling=scaling,
        channels=channels,
        coordinates=coordinates,
        shrinkage=shrinkage,
        bank=bank,
        normalise=normalise,
        aggregate=aggregate,
        target_fpr=target_fpr,
        folds=folds,
        seed=seed,
    )
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
        found, data = _prepared(images, preparing, scratch)
        package = scratch / "package"
        files = {name: package / name for name in FILES}
        tuned = fine_tuned(build(backbone, weights, seed, found.record.image_size), found, tuning, None)
        made = tuned.record(tuning, sha256_file(scratch / "images" / INDEX_FILE))
        save_backbone(files["backbone.safetensors"], tuned.backbone, made)
        save_parent(scratch / "parent.safetensors", tuned.before, tuned.backbone, made)
        network = load_backbone(files["backbone.safetensors"], found.record.image_size)
        parent = load_parent(scratch / "parent.safetensors", network)
        features = extract_splits(found, network, extracting, parent)
        save_detector(files["detector.safetensors"], fit_detector(features, fitting))
        artifact = load_detector(files["detector.safetensors"])
        evaluating = Evaluate(seed=seed)
        evaluation = evaluate(found, features, artifact, evaluating, data.leaked_test_images)
        write_metrics(files["metrics.json"], evaluation.metrics)
        write_text(files["report.html"], report_of(evaluation, found, artifact, data, evaluating, tuned.log))
        write_manifest(package)
        model = Model(str(package), engine, precision)
        weakref.finalize(model, stack.pop_all().close)  # the package is there as long as the model, which may be saved
    return model


def _settings(model: type[Config], **values: Any) -> Config:
    try:
        return model(**values)
    except ValidationError as error:
        raise VqiError(f"fit: {describe(error)}") from error


def _prepared(
    images: str | os.PathLike[str] | Sequence[Source], settings: Preprocess, scratch: Path
) -> tuple[Images, DataReport]:
    """The photographs as ``preprocess`` writes them, and its report."""
    if isinstance(images, str | os.PathLike):
        dataset = divide(_of_folder(os.fspath(images)), KEEP_ALL)
    else:
        dataset = Dataset(_NAMELESS, None, {_NAMELESS: tuple(_entries(images, settings))})
    (category,) = dataset.categories
    alone = prepare_alone(dataset, category, settings, scratch)
    return load_images(alone.images), alone.report


def _of_folder(place: str) -> Dataset:
    """The one category of a folder."""
    dataset = resolve(f"folder:{place}")
    if len(dataset.categories) > 1:
        names = ", ".join(sorted(dataset.categories))
        raise VqiError(f"{place}: expected the photographs of one category, got those of {names}: name one's folder")
    return dataset


def _entries(images: Sequence[Source], settings: Preprocess) -> Iterator[Entry]:
    """Photographs in any form as files of good training images, numbered in their order."""
    for number, image in enumerate(images):
        name = printable(Path(name_of(image)).name) or "photograph"
        ending = "" if is_image_name(name) else ".png"
        yield Entry(f"train/{GOOD}/{number:06}-{name}{ending}", _reader_of(image, name, settings))


def _reader_of(image: Source, name: str, settings: Preprocess) -> Callable[[], bytes]:
    """What gives the bytes of a photograph's file; an open file is read at once, for it can be read only once."""
    if isinstance(image, np.ndarray):
        return partial(_as_png, opened(image))
    if isinstance(image, Image.Image):
        if depth.is_deep(image):
            raise VqiError(f"{name}: deeper than 8 bits (mode {image.mode}): give its path or its bytes")
        decoded = decode_opened(image, name, square(SHORTEST), settings.max_pixels, keep=True)
        return partial(_as_png, opened(np.asarray(decoded.whole)))
    if isinstance(image, str | os.PathLike) and not str(image).startswith("s3://"):
        return partial(read_file, Path(image), name)
    data = bytes_of(image, name, settings.max_pixels)
    return lambda: data


def _as_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()
