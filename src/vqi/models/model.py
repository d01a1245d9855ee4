"""A published model -> scores, decisions and anomaly maps for new images. Imports torch."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from threadpoolctl import ThreadpoolController

from vqi.artifacts.backbone import Runtime
from vqi.artifacts.detector import load_detector
from vqi.artifacts.tensors import FloatArray
from vqi.detectors.aggregate import image_scores
from vqi.detectors.registry import detector_of
from vqi.errors import VqiError
from vqi.evaluation import enlarge
from vqi.models.inputs import Failure, find_images
from vqi.models.registry import fetch_model
from vqi.network.backbones import load_backbone
from vqi.network.extraction import Extractor
from vqi.network.runtime import choose_like
from vqi.pages.maps import colour_range, overlaid, scaled
from vqi.photographs.decoding import decode_image, resize_opened
from vqi.progress import message
from vqi.system.files import read_regular
from vqi.system.os_errors import explain
from vqi.system.scratch import scratch_folder

# An image: the bytes of a file, its path, pixels (H, W, 3) uint8 RGB, or what PIL opened.
Source = bytes | bytearray | Path | str | npt.NDArray[np.uint8] | Image.Image

# How far the scores of another engine are from those of the one that made the model, as a share of them. Seen on the
# 431 test images of ELPV's mono (`make bench ARGS=precision`): at most 0.6 % in the same precision, where no decision
# changes; at most 18 % between fp32 and bf16, where 2 to 4 decisions change.
ENGINE_TOLERANCE, PRECISION_TOLERANCE = 0.01, 0.2

# A file of more bytes than this holds no image of ``max_pixels``: four channels of 32 bits, and what else it says.
PIXEL_BYTES, HEAD_BYTES = 16, 64 << 20
_NAME_BYTES = 160  # of a picture's name, of the 255 that a disk allows

# One image is too little work for several threads of BLAS: they would busy-wait and slow down the network's threads.
# Their number is one setting for the whole process.
_ONE_BLAS_THREAD = threading.Lock()


@dataclass(frozen=True)
class Prediction:
    """The result of a model for one image."""

    name: str  # its path; '' for an image that has none
    score: float
    threshold: float
    decision: int  # 0 normal, 1 anomalous
    p_value: float  # share of good parts that are at least as unusual, in (0, 1]
    image: npt.NDArray[np.uint8]  # (H, W, 3), as the model sees it
    anomaly_map: FloatArray  # (H, W), at the size of the images that the model sees


class Model:
    """A model package, loaded. Its network is compiled when it first predicts. It may be used by several threads.

    Args:
        uri: Of a version, or of a category, which means its newest version.
        engine: ``openvino``, ``ipex`` or ``eager``; ``auto`` = the one that the model was made with, where this machine
            has it. For scores of another one see ``score_tolerance``.
        precision: ``fp32`` or ``bf16``; ``auto`` as for ``engine``.

    Raises:
        VqiError: There is no model at that place, a file of it is damaged, or the engine is not available.
    """

    def __init__(self, uri: str, engine: str = "auto", precision: str = "auto") -> None:
        with scratch_folder() as folder:
            self.manifest = fetch_model(uri, folder)
            artifact = load_detector(folder / "detector.safetensors").in_memory()
            made = artifact.record.features
            backbone = load_backbone(folder / "backbone.safetensors", made.images.image_size)
        self.image_size, self.max_pixels = made.images.image_size, made.images.max_pixels
        self.white = made.images.white  # of images deeper than 8 bits
        self.threshold = artifact.record.threshold.value
        self.runtime = choose_like(made.runtime, engine, precision)
        self._detector, self._shapes = detector_of(artifact), artifact.record.shapes
        self._aggregate, self._p_values = artifact.record.settings.aggregate, artifact.p_values
        self._blas = ThreadpoolController().select(user_api="blas")
        settings = made.settings
        # one by one: an image's result must not depend on how many others are given with it, not by a single bit
        self._extractor = Extractor(backbone, settings.layers, settings.pool, 1, self.runtime)
        want, got = (f"{one.engine} {one.precision}" for one in (made.runtime, self.runtime))
        if want != got:
            message(
                f"the model was made with {want} and scores with {got} ({self.runtime.reason}): scores may differ by "
                f"{score_tolerance(made.runtime, self.runtime):.0%}"
            )

    def predict(self, images: Sequence[Source]) -> list[Prediction]:
        """Score images; the result of one does not depend on the others.

        Args:
            images: Files as bytes or paths, pixels (H, W, 3) uint8 RGB of any size, or images that PIL opened.

        Raises:
            VqiError: One of them cannot be read as an image, or its score is not finite.
        """
        found: list[Prediction] = []
        for one in self.each(images):
            if isinstance(one, Failure):
                raise one.error
            found.append(one)
        return found

    def each(self, images: Iterable[Source | Failure]) -> Iterator[Prediction | Failure]:
        """Score images as ``predict`` does, one by one and in their order; an odd one does not end the others.

        What has failed before is passed on in its place.
        """
        for image in images:
            yield image if isinstance(image, Failure) else self._one(image)

    def _one(self, image: Source) -> Prediction | Failure:
        name = ""
        try:
            name = _name_of(image)
            return self._prediction(name, self._pixels(image, name))
        except VqiError as error:
            return Failure(name, error)

    def _prediction(self, name: str, pixels: npt.NDArray[np.uint8]) -> Prediction:
        features = self._extractor.extract(pixels[None])  # 1 x H x W x 3
        if features.shapes != self._shapes:
            raise VqiError(
                f"the network gives maps {features.shapes} and the detector was fitted to {self._shapes}: the model's "
                "files do not belong together; publish it again"
            )
        with _ONE_BLAS_THREAD, self._blas.limit(limits=1), np.errstate(all="ignore"):  # what is not finite is refused
            maps = self._detector.anomaly_maps(features)
            score = float(image_scores(maps, self._aggregate)[0])
        if not np.isfinite(maps).all():
            raise VqiError(f"{name or 'an image without a name'}: the score is not finite: train the model again")
        return Prediction(
            name=name,
            score=score,
            threshold=self.threshold,
            decision=int(score > self.threshold),
            p_value=float(self._p_values(np.array([score]))[0]),
            image=pixels,
            anomaly_map=enlarge(maps[0], self.image_size),
        )

    def _pixels(self, image: Source, name: str) -> npt.NDArray[np.uint8]:
        """An image as the model sees it, (H, W, 3)."""
        place = name or "an image without a name"
        if isinstance(image, np.ndarray):
            image = _opened(image)
        if isinstance(image, Image.Image):
            return resize_opened(image, place, self.image_size, self.max_pixels, self.white)
        data = bytes(image) if isinstance(image, (bytes, bytearray)) else _read(Path(image), self.max_pixels)
        decoded = decode_image(data, place, self.image_size, self.max_pixels, self.white)
        if decoded.note:
            message(f"note: {place}: {decoded.note}")
        return decoded.pixels


def score_tolerance(made_with: Runtime, runtime: Runtime) -> float:
    """How far scores may lie from those that the model was made with, as a share of them."""
    return ENGINE_TOLERANCE if made_with.precision == runtime.precision else PRECISION_TOLERANCE


def _name_of(image: Source) -> str:
    """The path of an image; '' where it has none.

    Raises:
        VqiError: It is none of the kinds of ``Source``.
    """
    if isinstance(image, (Path, str)):
        return str(image)
    if isinstance(image, Image.Image):
        return str(getattr(image, "filename", "") or "")
    if isinstance(image, (bytes, bytearray, np.ndarray)):
        return ""
    raise VqiError(
        f"an image of type {type(image).__name__}: expected a path, the bytes of a file, an array (H, W, 3) uint8 RGB "
        "or a PIL image"
    )


def _opened(pixels: npt.NDArray[Any]) -> Image.Image:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise VqiError(f"an image as an array: expected uint8 (H, W, 3) RGB, got {pixels.dtype} {pixels.shape}")
    return Image.fromarray(np.ascontiguousarray(pixels))


def _read(path: Path, max_pixels: int) -> bytes:
    try:
        return read_regular(path, max_pixels * PIXEL_BYTES + HEAD_BYTES)
    except OSError as error:
        link = f", a link to {path.readlink()}" if path.is_symlink() else ""
        raise VqiError(f"cannot read {explain(error, path)}{link}") from error


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The image files among files and folders, in order; folders are searched at all depths.

    Raises:
        VqiError: A path does not exist, or a folder holds no image or cannot be read.
    """
    found: list[Path] = []
    for one in find_images(paths):
        if isinstance(one, Failure):
            raise one.error
        found.append(one)
    return found


def write_overlays(folder: Path, predictions: Sequence[Prediction]) -> None:
    """Write each image with its anomaly map over it as PNG, under one colour scale for all."""
    folder.mkdir(parents=True, exist_ok=True)
    limits = colour_range([prediction.anomaly_map for prediction in predictions])
    width = len(str(len(predictions)))
    for number, prediction in enumerate(predictions, start=1):
        picture = overlaid(prediction.image, scaled(prediction.anomaly_map, limits))
        stem = f"{number:0{width}}-{_plain(Path(prediction.name).stem)}".rstrip("-")
        Image.fromarray(picture).save(folder / f"{stem}.png")


def _plain(name: str) -> str:
    """A name for a file on any disk: without control characters, and not too long in bytes."""
    plain = "".join(one if one.isprintable() else "_" for one in name)
    return plain.encode("utf-8")[:_NAME_BYTES].decode("utf-8", "ignore")
