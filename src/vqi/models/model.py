"""A published model -> scores, decisions and anomaly maps for new images. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from vqi.artifacts.model import Detector, load_detector
from vqi.artifacts.tensors import FloatArray
from vqi.config import Preprocess, defaults
from vqi.datasets.layout import EXTENSIONS
from vqi.detectors.pca import anomaly_maps, score
from vqi.detectors.registry import subspace_of
from vqi.errors import VqiError
from vqi.evaluation import enlarge
from vqi.models.registry import fetch_model
from vqi.network.backbones import load_backbone
from vqi.network.features import FeatureNetwork, extract
from vqi.network.runtime import Runtime, choose
from vqi.pages.maps import colour_range, overlaid, scaled
from vqi.preparation.images import decode
from vqi.system.scratch import scratch_folder


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image."""

    path: str
    score: float
    threshold: float
    decision: int  # 0 normal, 1 anomalous
    image: npt.NDArray[np.uint8]  # (H, W, 3), as the model sees it
    anomaly_map: FloatArray  # (H, W), at the size of the images that the model sees


class Model:
    """A model package, loaded."""

    def __init__(self, uri: str) -> None:
        with scratch_folder() as folder:
            self.manifest = fetch_model(uri, folder)
            self.image_size = int(self.manifest["image_size"])
            backbone = load_backbone(folder / "backbone.safetensors", self.image_size)
            self.detector = _in_memory(load_detector(folder / "detector.safetensors"))
        settings = self.manifest["features"]
        self.batch_size = int(settings["batch_size"])
        self.runtime = _runtime(self.manifest["runtime"])
        self._network = FeatureNetwork(backbone, settings["layer"], int(settings["pool"]))

    def predict(self, paths: Sequence[Path]) -> list[Prediction]:
        """Score image files.

        Raises:
            VqiError: A file cannot be read as an image.
        """
        if not paths:
            return []
        limit = int(defaults(Preprocess).max_pixels)
        images = np.stack([decode(path.read_bytes(), str(path), self.image_size, limit) for path in paths])
        features, shape = extract(images, list(range(len(images))), self._network, self.batch_size, self.runtime)
        subspace = subspace_of(self.detector)
        maps = anomaly_maps(features, subspace, shape)
        return [
            Prediction(
                path=str(path),
                score=float(value),
                threshold=self.detector.threshold,
                decision=int(value > self.detector.threshold),
                image=image,
                anomaly_map=enlarge(small, self.image_size),
            )
            for path, value, image, small in zip(paths, score(features, subspace), images, maps, strict=True)
        ]


def _runtime(recorded: dict[str, str]) -> Runtime:
    """The engine and precision that the threshold was calibrated with; another one gives slightly other scores."""
    return choose(recorded["engine"], recorded["precision"])


def _in_memory(detector: Detector) -> Detector:
    """The detector with its arrays copied out of the file, which goes away."""
    return replace(
        detector,
        mean=np.array(detector.mean),
        components=np.array(detector.components),
        explained_variance=np.array(detector.explained_variance),
        calibration_scores=np.array(detector.calibration_scores),
    )


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The image files among files and folders, folders searched to the bottom, in order.

    Raises:
        VqiError: A path does not exist, or a folder holds no image.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower().lstrip(".") in EXTENSIONS)
            if not inside:
                raise VqiError(f"{path}: expected image files ({', '.join(sorted(EXTENSIONS))}), got none")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise VqiError(f"{path}: no such file or folder")
    return found


def write_overlays(folder: Path, predictions: Sequence[Prediction]) -> None:
    """Write each image with its anomaly map over it as PNG, under one colour scale for all."""
    folder.mkdir(parents=True, exist_ok=True)
    limits = colour_range([prediction.anomaly_map for prediction in predictions])
    width = len(str(len(predictions)))
    for number, prediction in enumerate(predictions, start=1):
        picture = overlaid(prediction.image, scaled(prediction.anomaly_map, limits))
        name = f"{number:0{width}}-{Path(prediction.path).stem[:80]}.png"
        Image.fromarray(picture).save(folder / name)
