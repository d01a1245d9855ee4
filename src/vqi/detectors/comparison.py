"""What fine-tuning changed: the same detector on the features of the fine-tuned backbone and of its parent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps
from vqi.config import PcaFit
from vqi.detectors.aggregate import image_scores
from vqi.detectors.registry import detector_class
from vqi.metrics import image_auroc


@dataclass(frozen=True)
class Suitability:
    """How well a detector describes the parts by the features of a backbone."""

    held_out_fre_ratio: float  # of good images that neither detector nor fine-tuning saw; lower = better described
    image_auroc: float | None  # of the test images; None without both classes


def suitability(
    train: FeatureMaps, test: FeatureMaps, labels: npt.NDArray[np.int64], held_out: Sequence[int], settings: PcaFit
) -> Suitability:
    """Fit and measure on the features of one backbone.

    Args:
        train: Of N good images.
        test: Of M images.
        labels: (M,) 0 normal, 1 anomalous.
        held_out: Rows of ``train`` that did not take part in fine-tuning.
        settings: Of the detector.
    """
    maps = detector_class(settings.kind).fit(train, settings).detector.anomaly_maps(test)
    scores = image_scores(maps, settings.aggregate)
    return Suitability(held_out_fre_ratio(train, held_out, settings), image_auroc(labels, scores))


def held_out_fre_ratio(train: FeatureMaps, held_out: Sequence[int], settings: PcaFit) -> float:
    """The mean squared reconstruction error of held-out good images, as a share of their variance about the mean.

    The detector is fitted to the other images of ``train``. The ratio has no unit, so that it can be compared between
    backbones: 0 for images that are described completely, 1 where none of their differences is described.
    """
    rest = np.setdiff1d(np.arange(len(train)), np.asarray(held_out))
    model = detector_class(settings.kind).fit(train.rows(rest), settings).detector
    return model.unexplained(train.rows(np.asarray(held_out)))
