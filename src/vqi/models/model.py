"""A model -> scores, verdicts, maps and places for new photographs. Imports torch."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController

from vqi.artifacts.backbone import Runtime
from vqi.artifacts.detector import load_detector
from vqi.artifacts.metrics import Metrics
from vqi.detectors.aggregate import image_scores
from vqi.detectors.registry import detector_of
from vqi.errors import VqiError
from vqi.models.manifest import METRICS
from vqi.models.reading import Reader
from vqi.models.registry import fetch_model, save_model, version_at
from vqi.models.result import Result
from vqi.models.scorer import Read, Scorer
from vqi.network.backbones import load_backbone
from vqi.network.engines import choose_like
from vqi.network.extraction import Extractor
from vqi.progress import message
from vqi.records import parse_json
from vqi.store.opening import open_store
from vqi.system.paths import local_path
from vqi.system.scratch import scratch_folder

# How far the scores of another engine are from those of the one that made the model, as a share of them. Seen on the
# 431 test images of ELPV's mono (`make bench ARGS=precision`): at most 0.6 % in the same precision, where no decision
# changes; at most 18 % between fp32 and bf16, where 2 to 4 decisions change.
ENGINE_TOLERANCE, PRECISION_TOLERANCE = 0.01, 0.2

# One image is too little work for several threads of BLAS: they would busy-wait and slow down the network's threads.
# Their number is one setting for the whole process.
_ONE_BLAS_THREAD = threading.Lock()


class Model(Scorer):
    """A model, loaded. Its network is compiled when it first scores. It may be used by several threads.

    ``vqi.load`` and ``fit`` make one. For scores of another engine or precision than it was made with see
    ``score_tolerance``.
    """

    def __init__(self, uri: str, engine: str = "auto", precision: str = "auto") -> None:
        self.uri = open_store(version_at(uri)).uri  # absolute
        with scratch_folder() as folder:
            self.manifest = fetch_model(self.uri, folder)
            self._measured = (folder / METRICS).read_bytes()
            self._artifact = load_detector(folder / "detector.safetensors").in_memory()
            record = self._artifact.record
            backbone = load_backbone(folder / "backbone.safetensors", record.features.images.image_size)
        made = record.features
        super().__init__(Reader(made.images.image_size, made.images.max_pixels, made.images.white))
        self.threshold, self.map_limit = record.threshold.value, record.map_limit
        self.version, self.good_scores = self.manifest.version, self._artifact.calibration_scores
        self.runtime = choose_like(made.runtime, engine, precision)
        self._detector = detector_of(self._artifact)
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

    @property
    def metrics(self) -> Metrics:
        """What was measured when the model was trained.

        Raises:
            VqiError: Another version of the library measured it, other figures than this one.
        """
        return parse_json(Metrics, self._measured, f"{self.uri}/{METRICS}", "evaluate the model again")

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write the model into a new folder, which ``load`` and ``vqi predict`` take.

        Returns:
            The folder.

        Raises:
            VqiError: There is something at that place already, or it cannot be written.
        """
        return save_model(self.uri, local_path(os.fspath(folder)))

    def evaluate(self, folder: str | os.PathLike[str]) -> Metrics:
        """Measure the model on labelled photographs, with the threshold as it is.

        Args:
            folder: With a folder ``good`` and one for each type of defect; masks may be in
                ``ground_truth/<type of defect>/<name>_mask.png``, here or next to it.

        Raises:
            VqiError: It holds no such images, or none of them can be read.
        """
        from vqi.models.assessment import assess  # what measures takes half a second to import

        return assess(local_path(os.fspath(folder)), self._artifact, self._extractor, self.metrics.train_images)

    def _scored(self, read: Read) -> Result:
        began = time.perf_counter()
        features = self._extractor.extract(read.decoded.pixels[None])  # 1 x H x W x 3
        record = self._artifact.record
        if features.shapes != record.shapes:
            raise VqiError(
                f"the network gives maps {features.shapes} and the detector was fitted to {record.shapes}: the model's "
                "files do not belong together; publish it again"
            )
        with _ONE_BLAS_THREAD, self._blas.limit(limits=1), np.errstate(all="ignore"):  # what is not finite is refused
            maps = self._detector.anomaly_maps(features)
            score = float(image_scores(maps, record.settings.aggregate)[0])
            p_value = float(self._artifact.p_values(np.array([score]))[0])
            flagged = score > self.threshold
            return self._result(read, began, score=score, flagged=flagged, p_value=p_value, anomaly_map=maps[0])


def score_tolerance(made_with: Runtime, runtime: Runtime) -> float:
    """How far scores may lie from those that the model was made with, as a share of them."""
    return ENGINE_TOLERANCE if made_with.precision == runtime.precision else PRECISION_TOLERANCE
