"""The first PCA coordinates of the channels at each position: what detectors that compare positions stand on.

The layers are brought to the grid of the deepest one. A position's vector then has its channels on one scale, as for
``pca``, or is as it is and brought to length 1. Of all positions of all good images together, the directions are kept
in which these vectors vary most.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps, Shape
from vqi.config import PcaFit
from vqi.detectors.grid import coarsest
from vqi.detectors.interface import Arrays, FloatArray, Rows
from vqi.detectors.scaling import ChannelScaling, others, scaling_from
from vqi.detectors.subspace import (
    POSITIONS_A_CHANNEL,
    Moments,
    Subspace,
    moments,
    require_two,
    subspace_from,
    unexplained,
)


@dataclass(frozen=True)
class Coordinates:
    """Scaled channels (C,) of a position -> coordinates (Q,)."""

    scaling: ChannelScaling
    subspace: Subspace  # of (C,), its Q leading components
    unit: bool = False  # whether each position's vector is brought to length 1 first

    def pieces(self, maps: FeatureMaps) -> Iterator[FloatArray]:
        """The coordinates of all positions, (B * h * w, Q), some images at a time."""
        mean, components = np.asarray(self.subspace.mean, np.float32), np.asarray(self.subspace.components, np.float32)
        for positions in self._positions(maps):
            positions -= mean
            yield positions @ components.T

    def of(self, maps: FeatureMaps) -> FloatArray:
        """The coordinates of all positions, (N * h * w, Q), those of an image row by row."""
        found = list(self.pieces(maps))
        return np.concatenate(found) if found else np.zeros((0, len(self.subspace.components)), np.float32)

    def unexplained(self, maps: FeatureMaps) -> float:
        """The share of the variance about the mean that the coordinates leave out."""
        return unexplained(self._positions(maps), self.subspace)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """By name."""
        return {**self.subspace.arrays(), **self.scaling.arrays()}

    def _positions(self, maps: FeatureMaps) -> Iterator[FloatArray]:
        return positions_of(self.scaling, maps, self.unit)


def coordinates_from(arrays: Arrays, shapes: Sequence[Shape], settings: PcaFit, unit: bool = False) -> Coordinates:
    """The coordinates that ``arrays`` came from, which are no others'.

    Raises:
        VqiError: An array is missing or does not fit.
    """
    channels = sum(c for c, _, _ in shapes)
    scaling = scaling_from(arrays, channels, "raw" if unit else settings.scaling)
    return Coordinates(scaling, subspace_from(others(arrays), channels), unit)


class Fit:
    """Coordinates of all good images, and those that each fold's model has.

    The channels are scaled by all images, those of the folds among them. Where there are fewer than ten positions for
    each channel, every fold has directions of its own, from the other images.
    """

    def __init__(self, train: FeatureMaps, settings: PcaFit, most: int, unit: bool = False) -> None:
        require_two(len(train))
        self._train, self._most, self._unit = train, most, unit
        self._scaling = ChannelScaling.fit(train, "raw" if unit else settings.scaling)
        raw = self._scaling.kind == "raw" and not unit
        self._centre = self._scaling.mean.astype(np.float64) if raw else np.zeros(len(self._scaling.mean))
        self._moments = moments(positions_of(self._scaling, train, unit), self._centre)
        self.whole = self._of(self._moments, len(train))

    @property
    def known(self) -> bool:
        """Whether there are so many positions that the directions of all images are every fold's, too."""
        return self._moments.count >= POSITIONS_A_CHANNEL * len(self._centre)

    def without(self, fold: Rows) -> Coordinates:
        """The coordinates of the model that does not see the images of ``fold``."""
        if self.known:
            return self.whole
        part = moments(positions_of(self._scaling, self._train.rows(fold), self._unit), self._centre)
        return self._of(self._moments.without(part), len(self._train) - len(fold))

    def _of(self, found: Moments, images: int) -> Coordinates:
        every = found.fit(1.0, images)  # all directions in which the vectors vary at all
        kept = Subspace(every.mean, every.components[: self._most], every.explained_variance[: self._most])
        return Coordinates(self._scaling, kept.in_single(), self._unit)


def positions_of(scaling: ChannelScaling, maps: FeatureMaps, unit: bool) -> Iterator[FloatArray]:
    """The scaled vectors of all positions, (B * h * w, C), some images at a time; of length 1 where ``unit``."""
    for positions in scaling.positions(maps):
        if unit:
            lengths = np.sqrt(np.einsum("nc,nc->n", positions, positions))
            positions /= np.maximum(lengths, np.finfo(np.float32).tiny)[:, None]  # a vector of zeros stays
        yield positions


def places_of(shapes: Sequence[Shape]) -> int:
    """How many positions an image of layers of these shapes has."""
    return math.prod(coarsest(shapes))
