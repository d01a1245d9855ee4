"""A published model -> a folder with one file for a run time, compared with the library before it is there. Imports
torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from vqi import __version__
from vqi.artifacts.detector import DetectorArtifact, load_detector
from vqi.config import Precision
from vqi.detectors.registry import detector_of
from vqi.errors import VqiError, unknown
from vqi.export import openvino_file, saving
from vqi.export.graphs import judge_of
from vqi.export.parity import Compiled, Int8Parity, Parity, compare, compare_int8, made_up
from vqi.export.quantizing import Good, good_photographs, nncf, quantized
from vqi.models.exported_record import FILES, SECTION, ExportedRecord
from vqi.models.exported_record import FORMATS as FORMAT_VERSIONS
from vqi.models.inputs import images_below
from vqi.models.loading import exported_at
from vqi.models.manifest import Manifest
from vqi.models.model import Model
from vqi.models.reading import Reader, Source
from vqi.models.registry import fetch_model, require_free
from vqi.models.result import Result
from vqi.network.backbones import load_backbone
from vqi.network.extraction import FeatureNetwork
from vqi.sizes import Size
from vqi.system.atomic import atomic_path
from vqi.system.openvino import imported
from vqi.system.os_errors import explain
from vqi.system.processor import threads
from vqi.system.scratch import scratch_folder

FORMATS, PRECISIONS = tuple(FILES), (*(one for one in get_args(Precision) if one != "auto"), "int8")

Metadata = dict[str, dict[str, str]]


def export(
    model: str | os.PathLike[str],
    folder: Path,
    to: str = "openvino",
    precision: str = "fp32",
    check: Path | None = None,
    calibrate: Sequence[str] = (),
) -> Parity | Int8Parity:
    """Write a model as one file that a run time computes, with all that comes before and after the network.

    Args:
        model: Path or uri of a version, of a category or of a saved model, as ``vqi.load`` takes it.
        folder: A new one; it is there when the file scores as the library does.
        to: ``openvino``: ``model.xml`` and ``model.bin``; ``onnx``: ``model.onnx``.
        precision: Of the network: ``fp32``, or, of OpenVINO, ``bf16`` where the processor that runs it has that, or
            ``int8``.
        check: Photographs on which the file is compared with the library, besides made-up ones.
        calibrate: For int8: files, folders, patterns and addresses of photographs of good parts. It is quantised on
            three quarters of them, and compared on the others.

    Returns:
        How far it is from the library.

    Raises:
        VqiError: There is no such model or format, the detector or the network cannot be exported, there is something
            in the folder, there are too few photographs to quantise on, or the file does not score as the library does.
    """
    for what, name, known in (("format", to, FORMATS), ("precision", precision, PRECISIONS)):
        if name not in known:
            raise unknown(what, name, known)
    if to == "onnx" and precision != "fp32":
        raise VqiError(f"precision '{precision}' of an ONNX file: expected 'fp32'; a file of OpenVINO may have it")
    _check_calibration(precision, calibrate)
    if file := exported_at(os.fspath(model)):
        raise VqiError(f"{file}: exported already: name the model that it was made of")
    photographs = [] if check is None else images_below(check)
    if check is not None and not photographs:
        raise VqiError(f"{check}: expected photographs to compare on, got none")
    try:
        require_free(folder)
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            return _written(os.fspath(model), temporary / FILES[to], to, precision, photographs, calibrate)
    except OSError as error:
        raise VqiError(f"cannot export the model: {explain(error, folder)}") from error


def _check_calibration(precision: str, calibrate: Sequence[str]) -> None:
    """Whether there is all that int8 needs, and nothing of it where it is not asked for."""
    if precision != "int8":
        if calibrate:
            raise VqiError(
                f"photographs to quantise on (calibrate) with precision '{precision}': only 'int8' takes them"
            )
        return
    if not calibrate:
        raise VqiError(
            "precision 'int8' needs photographs of good parts to quantise on: --calibrate FOLDER, such as those "
            "that the model was trained on"
        )
    nncf()  # where it is missing, that is said first


def _written(
    uri: str, path: Path, to: str, precision: str, photographs: list[Path], calibrate: Sequence[str]
) -> Parity | Int8Parity:
    """Write the file and compare it as a program runs it: read from its place, with no setting that changes scores."""
    write = _writer_of(to)
    library = Model(uri, "openvino", "fp32" if precision == "int8" else precision)
    with scratch_folder() as scratch:
        manifest = fetch_model(library.uri, scratch)
        artifact = load_detector(scratch / "detector.safetensors").in_memory()
        record = artifact.record
        size, settings = record.features.images.image_size, record.features.settings
        network = FeatureNetwork(
            load_backbone(scratch / "backbone.safetensors", size), settings.layers, settings.pool
        ).eval()
    judge = judge_of(detector_of(artifact), artifact)
    said = _metadata(library.uri, manifest, artifact, precision, to)
    others = _results(library, chain[Source](made_up(size), photographs))
    if precision == "int8":
        good = good_photographs(
            calibrate, Reader(size, record.features.images.max_pixels, record.features.images.white)
        )
        run = _quantized_written(network, judge, size, path, said, good)
        return compare_int8(run, _results(library, good.held_back), others, artifact)
    run = write(network, judge, size, path, precision, said)
    return compare(run, others, artifact, precision, size)


def _openvino_written(network: Any, judge: Any, size: Size, path: Path, precision: str, said: Metadata) -> Compiled:
    """Write the file; loaded as OpenVINO does it by itself."""
    return _openvino_saved(openvino_file.whole_model(network, judge, size), path, precision, said)


def _quantized_written(network: Any, judge: Any, size: Size, path: Path, said: Metadata, good: Good) -> Compiled:
    """The same in int8. What is not is marked as in an fp32 file."""
    quantize = partial(quantized, photographs=good.pixels)
    return _openvino_saved(openvino_file.whole_model(network, judge, size, quantize), path, "int8", said)


def _openvino_saved(model: Any, path: Path, precision: str, said: Metadata) -> Compiled:
    saving.save(model, path, precision, said)
    compiled: Compiled = imported().Core().compile_model(path, "CPU", {"INFERENCE_NUM_THREADS": threads()})
    return compiled


def _writer_of(to: str) -> Callable[..., Compiled]:
    """What writes a file of a format, and loads it; the packages that it needs are there."""
    if to == "onnx":
        from vqi.export import onnx_file  # an extra

        return onnx_file.written
    return _openvino_written


def _results(library: Model, images: Iterable[Source]) -> Iterator[Result]:
    for image in images:
        yield library.score(image, keep=True)


def _metadata(uri: str, manifest: Manifest, artifact: DetectorArtifact, precision: str, to: str) -> Metadata:
    """What the file says of itself: in the words of OpenVINO's Model API, and in ours."""
    record = artifact.record
    size, threshold = record.features.images.image_size, record.threshold
    api: dict[str, Any] = {
        "model_type": "AnomalyDetection",
        "task": "segmentation",
        "image_threshold": threshold.value,
        "pixel_threshold": record.map_limit,
        "normalization_scale": 2 * threshold.value,  # 0 is 0 then, and the threshold a half
        "image_shape": f"{size.height} {size.width}",
        "labels": "normal anomalous",
        "embedded_processing": True,
    }
    own = ExportedRecord(
        format=FORMAT_VERSIONS[to],
        version=__version__,
        model=uri,
        digest=manifest.digest,
        dataset=manifest.dataset,
        category=manifest.category,
        model_version=manifest.version,
        detector=record.kind,
        precision=precision,
        threshold=threshold.value,
        target_fpr=threshold.target_fpr,
        map_limit=record.map_limit,
        image_size=size,
        max_pixels=record.features.images.max_pixels,
        white=record.features.images.white,
    )
    return {"model_info": {name: str(value) for name, value in api.items()}, SECTION: own.texts()}
