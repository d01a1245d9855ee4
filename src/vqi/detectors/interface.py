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
    """A model of the features of normal parts, which says where an image is not like them.

    Its image score is an aggregate of that map (``vqi.detectors.aggregate``), the same for every detector.
    """

    @classmethod
    @abstractmethod
    def fit(cls, train: FeatureMaps, settings: PcaFit, folds: Sequence[Rows] = ()) -> Fitted[Self]:
        """Fit to the feature maps of N good images; the argument is not changed.

        Args:
            train: Of one or several layers.
            settings: Of the step ``pca_fit``.
            folds: Disjoint rows of ``train``; the maps of each are of a model that is fitted to all other images.

        Raises:
            VqiError: Too few images, all of them the same, or features that are not finite.
        """

    @abstractmethod
    def anomaly_maps(self, maps: FeatureMaps) -> FloatArray:
        """How anomalous each image is where, (M, h, w) float32: squared distances, higher = more anomalous, at least 0.

        Args:
            maps: Of M images, of the shapes that it was fitted to; the map of one does not depend on the others.
        """

    @abstractmethod
    def unexplained(self, maps: FeatureMaps) -> float:
        """The share of the features' variance about the fitted mean that the model does not describe, in [0, 1]."""

    @abstractmethod
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays that it consists of, by name; finite numbers."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Arrays, shapes: Sequence[Shape], settings: PcaFit) -> Self:
        """The detector that ``arrays`` came from, for layers of these shapes (C, h, w) and with these settings.

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
    """A fitted detector, and for each image of the folds a map by a model that did not see it."""

    detector: AnyDetector
    held_out: FloatArray  # (N, h, w), in the order of the training images; NaN for an image of no fold
