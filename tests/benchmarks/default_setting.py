"""How the defaults of features and detector were chosen: without any image of the test set.

ELPV has images of defect probability 1/3 and 2/3, which the split leaves out. They are used as defects here, and good
training images held out in four folds as good ones. The test set's figure stands beside it, for the gap; no default was
chosen by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tests.benchmarks.measure import table
from vqi.artifacts.features import FeatureMaps
from vqi.config import FeatureExtract, PcaFit, Preprocess, defaults
from vqi.datasets import elpv
from vqi.detectors.aggregate import image_scores
from vqi.detectors.registry import DETECTORS
from vqi.metrics import image_auroc
from vqi.network.building import build
from vqi.network.engines import choose
from vqi.network.extraction import Extractor
from vqi.photographs.decoding import decode

STAGES = [f"blocks.{stage}" for stage in range(2, 7)]
SIZES = (224, 320)
TOGETHER = (("blocks.5",), ("blocks.4", "blocks.5"), ("blocks.3", "blocks.4", "blocks.5", "blocks.6"))
AGGREGATES = (1, 0.1, 0.05, 0.02)
FOLDS = 4
SCALINGS = ("raw", "standardised", "squashed")


class Parts(NamedTuple):
    """The images of a cell type, (N, H, W, 3) each, or their feature maps."""

    good: np.ndarray | FeatureMaps  # of the training split
    doubtful: np.ndarray | FeatureMaps
    test: np.ndarray | FeatureMaps


def main() -> None:
    backbone, runtime = build("tf_efficientnet_lite0", "pretrained"), choose("auto", "auto")
    features, detector = defaults(FeatureExtract), defaults(PcaFit)
    chosen = (defaults(Preprocess).image_size, FeatureExtract().layers, detector.scaling, detector.aggregate)
    found: dict[tuple[object, ...], list[float]] = {}
    for kind in ("mono", "poly"):
        for size in SIZES:
            extractor = Extractor(backbone, STAGES, 1, features.batch_size, runtime)
            images, labels = images_of(kind, size)
            maps = Parts(*(extractor.extract(one) for one in images))
            for setting, figures in measured(maps, labels):
                found.setdefault((size, *setting), []).extend(figures)
    rows = []
    for (size, layers, scaling, aggregate), (*figures,) in found.items():
        mark = " (default)" if (size, layers, scaling, aggregate) == chosen else ""
        name = f"{size} px, {'+'.join(layer.removeprefix('blocks.') for layer in layers)}, {scaling}, {aggregate}{mark}"
        mean = (figures[0] + figures[2]) / 2
        rows.append((mean, [name, *(f"{one:.3f}" for one in (figures[0], figures[2], mean, figures[1], figures[3]))]))
    ordered = [row for _, row in sorted(rows, key=lambda row: row[0], reverse=True)]
    heads = ["stages, scaling, aggregate", "mono", "poly", "mean", "test: mono", "test: poly"]
    table("Separation of doubtful from held-out good cells (AUROC), detector pca", heads, ordered)


def measured(parts: Parts, labels: np.ndarray) -> Iterator[tuple[tuple[object, ...], list[float]]]:
    """Each setting with the AUROC of doubtful against held-out good images, and that of the test images."""
    for layers in TOGETHER:
        places = [STAGES.index(layer) for layer in layers]
        good, doubtful, test = (FeatureMaps(tuple(one.layers[place] for place in places)) for one in parts)
        for scaling in SCALINGS:
            settings = PcaFit(kind="pca", scaling=scaling)
            maps = [*held_out(good, doubtful, settings)]
            tested = DETECTORS["pca"].fit(good, settings).detector.anomaly_maps(test)
            for aggregate in AGGREGATES:
                areas = [
                    area(np.repeat([0, 1], [len(one), len(other)]), np.concatenate([one, other]), aggregate)
                    for one, other in maps
                ]
                yield (layers, scaling, aggregate), [float(np.mean(areas)), area(labels, tested, aggregate)]


def held_out(good: FeatureMaps, doubtful: FeatureMaps, settings: PcaFit) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """By fold, the maps of the good images that did not train and those of the doubtful ones."""
    order = np.random.default_rng(0).permutation(len(good))
    for part in np.array_split(order, FOLDS):
        model = DETECTORS[settings.kind].fit(good.rows(np.setdiff1d(order, part)), settings).detector
        yield model.anomaly_maps(good.rows(part)), model.anomaly_maps(doubtful)


def area(labels: np.ndarray, maps: np.ndarray, aggregate: float) -> float:
    """Image AUROC of maps."""
    return float(image_auroc(labels, image_scores(maps, aggregate)) or 0)


def development_images(kind: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Good training images and doubtful ones of a cell type, (N, size, size, 3) each."""
    images, _ = images_of(kind, size)
    return np.asarray(images.good), np.asarray(images.doubtful)


def images_of(kind: str, size: int) -> tuple[Parts, np.ndarray]:
    """The images of a cell type, and the labels of the test images."""
    cells = elpv.read_labels(elpv.locate())
    entries = elpv.split(cells, kind)
    train = [entry.read() for entry in entries if entry.path.startswith("train/")]
    test = [entry for entry in entries if entry.path.startswith("test/")]
    doubtful = [c.file.read_bytes() for c in cells if c.category == kind and c.probability not in (0.0, 1.0)]
    labels = np.array([int(not entry.path.startswith("test/good/")) for entry in test])
    files = (train, doubtful, [entry.read() for entry in test])
    return Parts(*(_decoded(one, size) for one in files)), labels


def _decoded(files: list[bytes], size: int) -> np.ndarray:
    most = defaults(Preprocess).max_pixels
    return np.stack([decode(data, "cell", size, most) for data in files])
