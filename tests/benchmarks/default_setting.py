"""How the default layer and pooling were chosen: without any image of the test set.

ELPV has images of defect probability 1/3 and 2/3, which the split leaves out. They stand in for defects here, and good
training images held out in four folds for good ones. What separates these best on average over both types is the
default.
"""

from __future__ import annotations

import numpy as np

from tests.benchmarks.measure import table
from vqi.config import FeatureExtract, Preprocess, defaults
from vqi.datasets import elpv
from vqi.detectors import pca
from vqi.metrics import image_auroc
from vqi.network.backbones import build
from vqi.network.features import FeatureNetwork, extract
from vqi.network.runtime import choose
from vqi.photographs.decoding import decode

LAYERS = [f"blocks.{stage}" for stage in range(1, 7)]
POOLS = [1, 2, 0]
FOLDS = 4


def main() -> None:
    backbone = build("tf_efficientnet_lite0", "pretrained")
    runtime = choose("auto", "auto")
    images = {kind: development_images(kind) for kind in ("mono", "poly")}
    default = defaults(FeatureExtract)
    rows = []
    for layer in LAYERS:
        for pool in POOLS:
            network = FeatureNetwork(backbone, layer, pool)
            figures = []
            for good, doubtful in images.values():
                stacked = np.concatenate([good, doubtful])
                features, _ = extract(stacked, list(range(len(stacked))), network, 16, runtime)
                figures.append(separation(features[: len(good)], features[len(good) :]))
            mark = " (default)" if (layer, pool) == (default.layer, default.pool) else ""
            rows.append(
                (np.mean(figures), [f"{layer}, pool {pool}{mark}", *(f"{f:.3f}" for f in (*figures, np.mean(figures)))])
            )
    ordered = [row for _, row in sorted(rows, key=lambda row: row[0], reverse=True)]
    table("Separation of doubtful from held-out good cells (AUROC)", ["setting", "mono", "poly", "mean"], ordered)


def separation(good: np.ndarray, doubtful: np.ndarray) -> float:
    """Mean AUROC over the folds."""
    order = np.random.default_rng(0).permutation(len(good))
    figures = []
    for part in np.array_split(order, FOLDS):
        model = pca.fit(np.delete(good, part, axis=0), 0.99)
        scores = np.concatenate([pca.score(good[part], model), pca.score(doubtful, model)])
        labels = np.repeat([0, 1], [len(part), len(doubtful)])
        figures.append(image_auroc(labels, scores))
    return float(np.mean(figures))


def development_images(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Good training images and doubtful ones of a cell type, (N, 224, 224, 3)."""
    cells = elpv.read_labels(elpv.locate())
    train = [entry.read() for entry in elpv.split(cells, kind) if entry.path.startswith("train/")]
    doubtful = [c.file.read_bytes() for c in cells if c.category == kind and c.probability not in (0.0, 1.0)]
    return _decoded(train), _decoded(doubtful)


def _decoded(files: list[bytes]) -> np.ndarray:
    limits = defaults(Preprocess)
    return np.stack([decode(data, "cell", limits.image_size, limits.max_pixels) for data in files])
