"""How the default layer and pooling were chosen: without any image of the test set.

ELPV has images of defect probability 1/3 and 2/3, which the split leaves out. They are used as defects here, and good
training images held out in four folds as good ones. The setting that separates these best on average over both types
is the default.
"""

from __future__ import annotations

import numpy as np

from tests.benchmarks.measure import table
from vqi.artifacts.features import FeatureMaps
from vqi.config import FeatureExtract, PcaFit, Preprocess, defaults
from vqi.datasets import elpv
from vqi.detectors.pca import Pca
from vqi.metrics import image_auroc
from vqi.network.building import build
from vqi.network.extraction import Extractor
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
            extractor = Extractor(backbone, [layer], pool, default.batch_size, runtime)
            figures = []
            for good, doubtful in images.values():
                maps = extractor.extract(np.concatenate([good, doubtful]))
                figures.append(separation(maps.rows(slice(len(good))), maps.rows(slice(len(good), None))))
            mark = " (default)" if (layer, pool) == (default.layer, default.pool) else ""
            rows.append(
                (np.mean(figures), [f"{layer}, pool {pool}{mark}", *(f"{f:.3f}" for f in (*figures, np.mean(figures)))])
            )
    ordered = [row for _, row in sorted(rows, key=lambda row: row[0], reverse=True)]
    table("Separation of doubtful from held-out good cells (AUROC)", ["setting", "mono", "poly", "mean"], ordered)


def separation(good: FeatureMaps, doubtful: FeatureMaps) -> float:
    """Mean AUROC over the folds."""
    order = np.random.default_rng(0).permutation(len(good))
    figures = []
    for part in np.array_split(order, FOLDS):
        model = Pca.fit(good.rows(np.setdiff1d(order, part)), PcaFit()).detector
        scores = np.concatenate([model.score(good.rows(part)), model.score(doubtful)])
        labels = np.repeat([0, 1], [len(part), len(doubtful)])
        figures.append(image_auroc(labels, scores))
    return float(np.mean([figure for figure in figures if figure is not None]))


def development_images(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Good training images and doubtful ones of a cell type, (N, 224, 224, 3)."""
    cells = elpv.read_labels(elpv.locate())
    train = [entry.read() for entry in elpv.split(cells, kind) if entry.path.startswith("train/")]
    doubtful = [c.file.read_bytes() for c in cells if c.category == kind and c.probability not in (0.0, 1.0)]
    return _decoded(train), _decoded(doubtful)


def _decoded(files: list[bytes]) -> np.ndarray:
    limits = defaults(Preprocess)
    return np.stack([decode(data, "cell", limits.image_size, limits.max_pixels) for data in files])
