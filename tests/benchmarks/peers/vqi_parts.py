"""vqi's detectors on the same files, by parts: fit and score, in a process of its own as the peers are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.benchmarks.peers import photographs
from tests.benchmarks.peers.outcome import Outcome
from vqi.config import FeatureExtract, PcaFit, Preprocess, SslFinetune, defaults
from vqi.detectors.aggregate import image_scores
from vqi.detectors.registry import DETECTORS, folds_of
from vqi.metrics import image_auroc
from vqi.network.building import build
from vqi.network.engines import choose
from vqi.network.extraction import Extractor
from vqi.photographs.decoding import decode
from vqi.sizes import Size


def main(kind: str, folder: Path, size: int, output: Path) -> None:
    """``fit`` includes the held-out scores that set the threshold; ``compile`` is the network's, once for both."""
    outcome = Outcome()
    extract, settings = FeatureExtract(), PcaFit(kind=kind)
    with outcome.phase("compile"):
        backbone = build(defaults(SslFinetune).backbone_name, "pretrained")
        runtime = choose(extract.engine, extract.precision)
        extractor = Extractor(backbone, extract.layers, defaults(FeatureExtract).pool, extract.batch_size, runtime)
        extractor.extract(np.zeros((1, size, size, 3), np.uint8))
    with outcome.phase("read to fit"):
        images = _read(photographs.train(folder), size)
    with outcome.phase("network to fit"):
        good = extractor.extract(images)
    with outcome.phase("fit"):
        detector = DETECTORS[kind].fit(good, settings, folds_of(np.arange(len(good)), settings)).detector
    files, labels = photographs.test(folder)
    with outcome.phase("read to score"):
        images = _read(files, size)
    with outcome.phase("network to score"):
        tested = extractor.extract(images)
    with outcome.phase("score"):
        scores = image_scores(detector.anomaly_maps(tested), settings.aggregate)
    outcome.figures["auroc"] = float(image_auroc(np.array(labels), scores) or 0)
    outcome.write(output)


def _read(files: Sequence[Path], size: int) -> np.ndarray:
    limit = defaults(Preprocess).max_pixels
    return np.stack([decode(one.read_bytes(), one.name, Size(size, size), limit) for one in files])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
