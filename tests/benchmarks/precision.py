"""What engine and precision do to scores: image AUROC on ELPV, and scores of a model that was made with another one.

The tolerances of ``vqi.models.model`` are based on it.
"""

from __future__ import annotations

import numpy as np

from tests.benchmarks.measure import table
from vqi.artifacts.backbone import Runtime
from vqi.artifacts.features import FeatureMaps
from vqi.config import FeatureExtract, PcaFit, Preprocess, SslFinetune, defaults
from vqi.datasets import elpv
from vqi.detectors.aggregate import image_scores
from vqi.detectors.calibration import conformal_threshold
from vqi.detectors.registry import detector_class, folds_of
from vqi.metrics import image_auroc
from vqi.network.building import build
from vqi.network.engines import supports
from vqi.network.extraction import Extractor
from vqi.photographs.decoding import decode
from vqi.system.processor import processor_flags

# IPEX last: a process that has used it computes different bits from then on
NAMES = [f"{engine} {precision}" for engine in ("eager", "openvino", "ipex") for precision in ("fp32", "bf16")]
CATEGORIES = ("mono", "poly")


def main() -> None:
    for category in CATEGORIES:
        images, labels, train = _images(category)
        maps = {name: _maps(images, name) for name in NAMES if supports(*name.split(), processor_flags())}
        rows = []
        for made_with, given in maps.items():
            settings = PcaFit()
            good = given.rows(slice(train))
            fitted = detector_class(settings.kind).fit(good, settings, folds_of(np.arange(train), settings))
            calibration = image_scores(fitted.held_out, settings.aggregate)
            threshold = conformal_threshold(calibration, settings.target_fpr).value
            own = image_scores(fitted.detector.anomaly_maps(given.rows(slice(train, None))), settings.aggregate)
            row = [made_with, f"{image_auroc(labels, own):.4f}"]
            for other in maps.values():
                given_maps = fitted.detector.anomaly_maps(other.rows(slice(train, None)))
                scores = image_scores(given_maps, settings.aggregate)
                changed = int(((scores > threshold) != (own > threshold)).sum())
                row.append(f"{np.abs(scores / own - 1).max():.2%}, {changed}")
            rows.append(row)
        table(
            f"ELPV {category}: {len(labels)} test images, a model made with the engine of the row; largest difference "
            "of a score by the engine of the column, decisions that change",
            ["made with", "image AUROC", *maps],
            rows,
        )


def _images(category: str) -> tuple[np.ndarray, np.ndarray, int]:
    """The images (N, H, W, 3), train first; the labels of the test images; how many train."""
    entries = elpv.split(elpv.read_labels(elpv.locate()), category)
    train = [entry for entry in entries if entry.path.startswith("train/")]
    test = [entry for entry in entries if not entry.path.startswith("train/")]
    limits = defaults(Preprocess)
    images = [decode(entry.read(), entry.path, limits.image_size, limits.max_pixels) for entry in [*train, *test]]
    labels = np.array([int("/good/" not in f"/{entry.path}") for entry in test])
    return np.stack(images), labels, len(train)


def _maps(images: np.ndarray, name: str) -> FeatureMaps:
    engine, precision = name.split()
    given = FeatureExtract()
    backbone = build(defaults(SslFinetune).backbone_name, "pretrained")
    runtime = Runtime(engine=engine, precision=precision, reason="a benchmark")
    return Extractor(backbone, given.layers, given.pool, given.batch_size, runtime).extract(images, progress=name)
