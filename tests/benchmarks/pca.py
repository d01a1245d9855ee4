"""PCA fit against scikit-learn's exact solver, in one run."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.decomposition import PCA

from tests.benchmarks.measure import allocated, best_of, table
from vqi.artifacts.features import FeatureMaps
from vqi.config import PcaFit
from vqi.detectors.aggregate import image_scores
from vqi.detectors.pca import Pca

SHAPES = [(391, 50_176), (736, 9_408), (20_000, 512)]
SETTINGS = PcaFit(variance=0.99, scaling="raw", aggregate=1)


def features(n: int, d: int) -> np.ndarray:
    random = np.random.default_rng(0)
    spectrum = np.linspace(1, 0.02, min(n, d, 400)) ** 2
    mixed = (random.normal(size=(n, len(spectrum))) * spectrum) @ random.normal(size=(len(spectrum), d))
    return (mixed + 0.01 * random.normal(size=(n, d)) + 1).astype(np.float32)


def main() -> None:
    rows = []
    for n, d in SHAPES:
        x = features(n, d)
        new = x[:100] + np.random.default_rng(1).normal(size=(100, d)).astype(np.float32) * 0.05
        maps = FeatureMaps((x[:, :, None, None],))
        ours = best_of(partial(Pca.fit, maps, SETTINGS))
        theirs = best_of(partial(PCA(SETTINGS.variance, svd_solver="full").fit, x), repeats=2)
        model, reference = Pca.fit(maps, SETTINGS).detector, PCA(SETTINGS.variance, svd_solver="full").fit(x)
        expected = np.linalg.norm(new - reference.inverse_transform(reference.transform(new)), axis=1)
        scores = image_scores(model.anomaly_maps(FeatureMaps((new[:, :, None, None],))), SETTINGS.aggregate)
        error = np.abs(scores / expected - 1).max()
        memory = 1 + allocated(partial(Pca.fit, maps, SETTINGS)) / x.nbytes
        components = f"{len(model.subspace.components)} = {reference.n_components_}"
        rows.append(
            [f"{n} x {d}", f"{ours:.2f} s", f"{theirs:.2f} s", f"{theirs / ours:.0f}x", components, f"{error:.0e}",
             f"{memory:.1f}x"]
        )  # fmt: skip
    table(
        "PCA fit against scikit-learn (exact solver)",
        ["N x D", "vqi", "scikit-learn", "ratio", "components", "scores differ by", "memory / features"],
        rows,
    )
