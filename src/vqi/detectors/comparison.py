"""What fine-tuning changed: the same detector on the features of the fine-tuned backbone and of its parent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vqi.artifacts.tensors import FloatArray
from vqi.detectors import pca
from vqi.metrics import image_auroc


@dataclass(frozen=True)
class Suitability:
    """How well PCA of a backbone's features describes the parts."""

    held_out_fre_ratio: float  # of good images that neither PCA nor fine-tuning saw; lower = better described
    image_auroc: float | None  # of the test images; None without both classes


def suitability(
    train: FloatArray, test: FloatArray, labels: npt.NDArray[np.int64], held_out: Sequence[int], variance: float
) -> Suitability:
    """Fit and measure on the features of one backbone.

    Args:
        train: (N, D) of good images.
        test: (M, D).
        labels: (M,) 0 normal, 1 anomalous.
        held_out: Rows of ``train`` that did not take part in fine-tuning.
        variance: Share of it that PCA keeps.
    """
    scores = pca.score(test, pca.fit(train, variance))
    return Suitability(held_out_fre_ratio(train, held_out, variance), image_auroc(labels, scores))


def held_out_fre_ratio(train: FloatArray, held_out: Sequence[int], variance: float) -> float:
    """The mean squared reconstruction error of held-out good images, as a share of their variance about the mean.

    PCA is fitted to the other rows of ``train`` (N, D). The ratio has no unit, so that it can be compared between
    backbones: 0 for images that PCA describes wholly, 1 where it describes nothing of how they differ.
    """
    rest = np.delete(train, held_out, axis=0)  # R x D
    new = train[np.asarray(held_out)]  # H x D
    model = pca.fit(rest, variance)
    unexplained = float(np.square(pca.score(new, model)).sum())
    return unexplained / float(np.square(new - model.mean, dtype=np.float64).sum())
