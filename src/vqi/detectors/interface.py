"""What a detector is: how it is fitted, what it says of new images, and how it is stored.

A detector is one module next to this one and one line in ``vqi.detectors.registry``. Nothing outside of this package
knows which kinds there are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps, Shape
from vqi.config import PcaFit

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
Arrays = Mapping[str, npt.NDArray[Any]]


class Detector(ABC):
    """A model of the features of normal parts. Scores: higher = more anomalous, at least 0, never negated."""

    @classmethod
    @abstractmethod
    def fit(cls, train: FeatureMaps, settings: PcaFit, folds: Sequence[Rows] = ()) -> Fitted[Self]:
        """Fit to the feature maps of N good images; the argument is not changed.

        Args:
            train: Of one or several layers.
            settings: Of the step ``pca_fit``.
            folds: Disjoint rows of ``train``; each fold is scored by a model that is fitted to all other images.

        Raises:
            VqiError: Too few images, all of them the same, or features that are not finite.
        """

    @abstractmethod
    def score(self, maps: FeatureMaps) -> DoubleArray:
        """The anomaly score of each image, (M,) float64, from maps of the shapes that it was fitted to."""

    @abstractmethod
    def anomaly_maps(self, maps: FeatureMaps) -> FloatArray:
        """Where each image is anomalous, (M, h, w) float32, on the finest grid among the layers."""

    @abstractmethod
    def unexplained(self, maps: FeatureMaps) -> float:
        """The share of the features' variance about the fitted mean that the model does not describe, in [0, 1]."""

    @abstractmethod
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays that it consists of, by name; finite numbers."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Arrays, shapes: Sequence[Shape]) -> Self:
        """The detector that ``arrays`` came from, for layers of these shapes (C, h, w).

        Raises:
            VqiError: An array is missing, or its shape does not fit.
        """

    def caveat(self) -> str:
        """Why its scores say little, in a sentence that says what to do; '' where nothing speaks against them."""
        return ""

    @abstractmethod
    def facts(self) -> dict[str, int | float | str]:
        """What a report says of it, by name, such as the number of components or the size of a bank."""


AnyDetector = TypeVar("AnyDetector", bound=Detector, covariant=True)


@dataclass(frozen=True)
class Fitted(Generic[AnyDetector]):
    """A fitted detector, and for each image of the folds a score by a model that did not see it."""

    detector: AnyDetector
    held_out: DoubleArray  # (N,), in the order of the training images; NaN for an image of no fold
