"""PCA fit against scikit-learn's exact solver, in one run."""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.decomposition import PCA

from tests.benchmarks.measure import allocated, best_of, table
from vqi.detectors import pca

SHAPES = [(391, 50_176), (736, 9_408), (20_000, 512)]
VARIANCE = 0.99


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
        ours = best_of(partial(pca.fit, x, VARIANCE))
        theirs = best_of(partial(PCA(VARIANCE, svd_solver="full").fit, x), repeats=2)
        model, reference = pca.fit(x, VARIANCE), PCA(VARIANCE, svd_solver="full").fit(x)
        expected = np.linalg.norm(new - reference.inverse_transform(reference.transform(new)), axis=1)
        error = np.abs(pca.score(new, model) / expected - 1).max()
        memory = 1 + allocated(partial(pca.fit, x, VARIANCE)) / x.nbytes
        components = f"{len(model.components)} = {reference.n_components_}"
        rows.append(
            [f"{n} x {d}", f"{ours:.2f} s", f"{theirs:.2f} s", f"{theirs / ours:.0f}x", components, f"{error:.0e}",
             f"{memory:.1f}x"]
        )  # fmt: skip
    table(
        "PCA fit against scikit-learn (exact solver)",
        ["N x D", "vqi", "scikit-learn", "ratio", "components", "scores differ by", "memory / features"],
        rows,
    )
