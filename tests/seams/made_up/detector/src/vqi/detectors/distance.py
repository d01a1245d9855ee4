"""The distance from the mean good part, without any model of what varies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps, Shape
from vqi.config import PcaFit
from vqi.detectors.grid import coarsest, on_grid
from vqi.detectors.interface import Arrays, Detector, Fitted, FloatArray, Rows


@dataclass(frozen=True)
class Distance(Detector):
    """The mean map of the good parts, (C, h, w) on the coarsest grid, C the sum of the layers' channels."""

    mean: FloatArray

    @classmethod
    def fit(cls, train: FeatureMaps, settings: PcaFit, folds: Sequence[Rows] = ()) -> Fitted[Distance]:
        """See ``Detector.fit``."""
        whole = on_grid(train, coarsest(train.shapes))
        held_out = np.full((len(train), *whole.shape[2:]), np.nan, np.float32)
        for fold in folds:
            rest = np.delete(whole, fold, axis=0)
            held_out[fold] = cls(rest.mean(axis=0)).anomaly_maps(train.rows(fold))
        return Fitted(cls(whole.mean(axis=0)), held_out)

    def anomaly_maps(self, maps: FeatureMaps) -> FloatArray:
        """The squared distance of each position, (M, h, w)."""
        found: FloatArray = np.square(on_grid(maps, self.mean.shape[1:]) - self.mean).sum(axis=1)
        return found

    def unexplained(self, maps: FeatureMaps) -> float:
        """All of it: the mean describes nothing of the variance."""
        return 1.0

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """See ``Detector.arrays``."""
        return {"mean": self.mean}

    @classmethod
    def from_arrays(cls, arrays: Arrays, shapes: Sequence[Shape], settings: PcaFit) -> Distance:
        """See ``Detector.from_arrays``."""
        return cls(np.asarray(arrays["mean"], np.float32).reshape(-1, *coarsest(shapes)))

    def facts(self) -> dict[str, int | float | str]:
        """How large its mean is."""
        return {"numbers of the mean": self.mean.size}
