"""Which detector, chosen without a defect: candidates by how well they tell planted defects from held-out good images.

The ranking by planted defects stands beside the one by the test set, which a user without defects does not have. For
each candidate also the processor time that it takes to fit with held-out scores and to score, and the memory.

``ELPV`` is always measured; VQI_BENCH_SOURCES names more sources, with spaces between, such as 'folder:/data/parts',
VQI_BENCH_GROUP_BY is their ``group_by``, and VQI_BENCH_IMAGE_SIZE the ``image_size`` of all sources. Images of one
group are never on both sides.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from tests.benchmarks.measure import MB, allocated, table
from tests.benchmarks.planted import PLANTS, planted
from vqi.artifacts.features import FeatureMaps
from vqi.artifacts.images import Images, load_images
from vqi.config import DatasetDownload, FeatureExtract, PcaFit, Preprocess, defaults
from vqi.datasets.download import download
from vqi.datasets.shards import open_shard
from vqi.detectors.aggregate import image_scores
from vqi.detectors.registry import DETECTORS, folds_of
from vqi.metrics import image_auroc
from vqi.network.building import build
from vqi.network.engines import choose
from vqi.network.extraction import Extractor
from vqi.preparation.images import prepare
from vqi.store.opening import open_store

CANDIDATES = {
    "pca": PcaFit(kind="pca"),
    "pca, all of the map": PcaFit(kind="pca", aggregate=1),
    "pca, raw channels": PcaFit(kind="pca", scaling="raw"),
    "patch_pca": PcaFit(kind="patch_pca"),
    "mahalanobis": PcaFit(kind="mahalanobis"),
    "neighbours, length": PcaFit(kind="neighbours", normalise="length"),
    "neighbours, length, 500 vectors": PcaFit(kind="neighbours", normalise="length", bank=500),
    "neighbours, whitened": PcaFit(kind="neighbours", normalise="whitened"),
    "ensemble, length": PcaFit(kind="ensemble", normalise="length"),
    "ensemble, whitened": PcaFit(kind="ensemble", normalise="whitened"),
}
HELD_OUT, MOST_HELD_OUT = 0.25, 120  # share of the groups, and images at most
SEED = 0


class Parts(NamedTuple):
    """The features of a category."""

    good: FeatureMaps  # of the training images
    held_out: np.ndarray  # rows of `good` that have planted defects and do not train
    planted: dict[str, FeatureMaps]  # by kind of defect, of the held-out images
    test: FeatureMaps
    labels: np.ndarray  # of the test images


class Figures(NamedTuple):
    """Of a candidate on a category."""

    planted: dict[str, float]  # AUROC of planted defects against held-out good images, by kind of defect
    test: float

    @property
    def mean(self) -> float:
        """Over the kinds of defect."""
        return float(np.mean(list(self.planted.values())))


def main() -> None:
    found: dict[str, dict[str, Figures]] = {}
    for category, parts in _categories():
        found[category] = {name: figures(parts, settings) for name, settings in CANDIDATES.items()}
        costs(category, parts)
    show(found)


def figures(parts: Parts, settings: PcaFit) -> Figures:
    """Fit without the held-out images for the planted defects, and with all good images for the test set."""
    rest = np.setdiff1d(np.arange(len(parts.good)), parts.held_out)
    model = DETECTORS[settings.kind].fit(parts.good.rows(rest), settings).detector
    good = image_scores(model.anomaly_maps(parts.good.rows(parts.held_out)), settings.aggregate)
    areas = {
        name: area(good, image_scores(model.anomaly_maps(maps), settings.aggregate))
        for name, maps in parts.planted.items()
    }
    whole = DETECTORS[settings.kind].fit(parts.good, settings).detector
    tested = image_scores(whole.anomaly_maps(parts.test), settings.aggregate)
    return Figures(areas, float(image_auroc(parts.labels, tested) or 0))


def area(good: np.ndarray, bad: np.ndarray) -> float:
    """AUROC of scores."""
    return float(image_auroc(np.repeat([0, 1], [len(good), len(bad)]), np.concatenate([good, bad])) or 0)


def show(found: dict[str, dict[str, Figures]]) -> None:
    """The figures, and how far the two rankings agree."""
    heads = ["detector", *(f"{category}: {what}" for category in found for what in ("planted", "hardest", "test"))]
    rows = [
        [name, *(f"{figure:.3f}" for of in found.values() for figure in ranked(of[name]))] for name in CANDIDATES
    ]  # fmt: skip
    table("AUROC of planted defects against held-out good images, and of the test set", heads, rows)
    rows = []
    for category, of in found.items():
        values = list(of.values())
        tests = [one.test for one in values]
        criteria = {"mean": [one.mean for one in values], "hardest": [min(one.planted.values()) for one in values]}
        criteria |= {kind: [one.planted[kind] for one in values] for kind in PLANTS}
        for criterion, figures_of_it in criteria.items():
            chosen = int(np.argmax(figures_of_it))
            rows.append(
                [f"{category}: {criterion}", f"{spearmanr(figures_of_it, tests).statistic:.2f}",
                 list(of)[chosen], f"{tests[chosen]:.3f}", f"{max(tests):.3f}", f"{of['pca'].test:.3f}"]
            )  # fmt: skip
    heads = ["planted defects", "rank correlation", "chosen so", "its AUROC", "best AUROC", "pca's"]
    table("Does the ranking by planted defects tell which is best on the test set?", heads, rows)


def ranked(figures_of_it: Figures) -> tuple[float, float, float]:
    """The mean over the kinds of defect, that of the hardest kind, and that of the test set."""
    return figures_of_it.mean, min(figures_of_it.planted.values()), figures_of_it.test


def costs(category: str, parts: Parts) -> None:
    """What fitting with held-out scores and scoring cost, in processor time."""
    rows = []
    for name, settings in CANDIDATES.items():
        if settings.aggregate == 1:
            continue  # costs the same
        folds = folds_of(np.arange(len(parts.good)), settings)
        kind = DETECTORS[settings.kind]
        begin = time.process_time()
        model = kind.fit(parts.good, settings, folds).detector
        fitted = time.process_time()
        model.anomaly_maps(parts.test)
        scored = time.process_time()
        memory = allocated(partial(kind.fit, parts.good, settings, folds[:2])) / MB
        size = sum(array.nbytes for array in model.arrays().values()) / MB
        rows.append(
            [name, f"{fitted - begin:.1f} s", f"{1000 * (scored - fitted) / len(parts.test):.1f} ms",
             f"{memory:.0f} MB", f"{size:.0f} MB"]
        )  # fmt: skip
    heads = ["detector", "fit and held-out scores", "score an image", "memory to fit", "model"]
    table(f"What detectors cost on {category}, {len(parts.good)} good images, processor time", heads, rows)


def _categories() -> Iterator[tuple[str, Parts]]:
    more = os.environ.get("VQI_BENCH_SOURCES", "").split()
    group_by = os.environ.get("VQI_BENCH_GROUP_BY", "")
    for source, pattern in [("elpv", ""), *((one, group_by) for one in more)]:
        with tempfile.TemporaryDirectory() as folder:
            handle = download(DatasetDownload(source=source), open_store(f"{folder}/store"))
            for category in handle.categories:
                yield category, _parts(_images(handle.uri, category, pattern, Path(folder)))


def _images(dataset: str, category: str, group_by: str, folder: Path) -> Images:
    settings = defaults(Preprocess)
    prepare(
        open_shard(dataset, category, folder),
        folder / f"images-{category}",
        category=category,
        image_size=os.environ.get("VQI_BENCH_IMAGE_SIZE", settings.image_size),
        max_bad_fraction=settings.max_bad_fraction,
        max_pixels=settings.max_pixels,
        dataset=dataset,
        target_fpr=settings.target_fpr,
        group_by=group_by,
    )
    return load_images(folder / f"images-{category}")


def _parts(images: Images) -> Parts:
    settings = FeatureExtract()
    backbone, runtime = build("tf_efficientnet_lite0", "pretrained"), choose(settings.engine, settings.precision)
    extractor = Extractor(backbone, settings.layers, settings.pool, settings.batch_size, runtime)
    train, test = images.rows("train"), images.rows("test")
    held_out = held_out_of(np.array([images.index[row].group for row in train]))
    made = planted(np.stack([images.images[train[row]] for row in held_out]), SEED)
    maps = {name: extractor.extract(made[name]) for name in PLANTS}
    labels = np.array([images.index[row].label for row in test])
    return Parts(
        extractor.extract(images.images, train), held_out, maps, extractor.extract(images.images, test), labels
    )


def held_out_of(groups: np.ndarray) -> np.ndarray:
    """Rows of whole groups: a share of the groups, and not many more images than needed."""
    order = np.random.default_rng(SEED).permutation(np.unique(groups))
    sizes = np.array([np.count_nonzero(groups == one) for one in order])
    count = min(max(1, round(HELD_OUT * len(order))), int(np.searchsorted(np.cumsum(sizes), MOST_HELD_OUT)) + 1)
    return np.flatnonzero(np.isin(groups, order[:count]))
