"""Several detectors together: the sum of their standardised distances.

Detectors that see different things are wrong about different parts. The distances of each one are divided by the
standard deviation of its scores of good parts that it did not see, and added up; so an image's score is, but for a
constant, the sum of the members' standardised scores, as far as they are highest in the same cells.

Source: Aggarwal, "Outlier ensembles: position paper", ACM SIGKDD Explor. 14 (2013), section 2 (standardised scores,
averaged).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps, Shape
from vqi.config import PcaFit
from vqi.detectors.aggregate import image_scores
from vqi.detectors.grid import coarsest
from vqi.detectors.interface import Arrays, Detector, DoubleArray, Fitted, FloatArray, Rows
from vqi.detectors.mahalanobis import Mahalanobis
from vqi.detectors.neighbours import Neighbours
from vqi.detectors.pca import Pca
from vqi.errors import VqiError

MEMBERS: dict[str, type[Detector]] = {"pca": Pca, "mahalanobis": Mahalanobis, "neighbours": Neighbours}
_SPREADS = "spreads"
_LEAST = 0.01  # of the mean score: the spread of a few scores that are nearly equal says nothing
_OWN_FOLDS = 5  # where none are given


@dataclass(frozen=True)
class Ensemble(Detector):
    """Distances of several detectors, standardised and added up: good where any of them is."""

    members: tuple[Detector, ...]  # in the order of MEMBERS
    spreads: DoubleArray  # (members,), by which each one's distances are divided, > 0

    @classmethod
    def fit(cls, train: FeatureMaps, settings: PcaFit, folds: Sequence[Rows] = ()) -> Fitted[Ensemble]:
        """See ``Detector.fit``.

        The spreads are those of the scores of held-out images: of the folds, or, where none are given, of folds of its
        own. What a fold's model divides by is the spread of the other folds' scores.
        """
        if len(train) < 3:
            raise VqiError(
                f"an ensemble needs at least 3 good training images, got {len(train)}: add images to train/good"
            )
        held = list(folds) if len(folds) > 1 else _own_folds(len(train), settings.seed)
        fitted = [member.fit(train, settings, held) for member in MEMBERS.values()]
        scores = np.stack([image_scores(one.held_out, settings.aggregate) for one in fitted])  # members x N
        every = np.concatenate(held)
        held_out = np.full((len(train), *coarsest(train.shapes)), np.nan, np.float32)
        for fold in folds:
            if len(folds) > 1:
                spreads = spreads_of(scores[:, np.setdiff1d(every, fold)])
                held_out[fold] = _combined([one.held_out[fold] for one in fitted], spreads)
            else:
                rest = cls.fit(train.rows(np.setdiff1d(np.arange(len(train)), fold)), settings).detector
                held_out[fold] = rest.anomaly_maps(train.rows(fold))
        return Fitted(cls(tuple(one.detector for one in fitted), spreads_of(scores[:, every])), held_out)

    def anomaly_maps(self, maps: FeatureMaps) -> FloatArray:
        """The square of the sum of the members' standardised distances, (M, h, w) float32."""
        return _combined([member.anomaly_maps(maps) for member in self.members], self.spreads)

    def unexplained(self, maps: FeatureMaps) -> float:
        """See ``Detector.unexplained``: the mean of the members'."""
        return float(np.mean([member.unexplained(maps) for member in self.members]))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """See ``Detector.arrays``: those of each member, with its name before theirs."""
        own: dict[str, npt.NDArray[Any]] = {_SPREADS: self.spreads}
        for name, member in zip(MEMBERS, self.members, strict=True):
            own |= {f"{name}.{array}": values for array, values in member.arrays().items()}
        return own

    @classmethod
    def from_arrays(cls, arrays: Arrays, shapes: Sequence[Shape], settings: PcaFit) -> Ensemble:
        """See ``Detector.from_arrays``."""
        spreads = np.asarray(arrays.get(_SPREADS, np.zeros(0)))
        if spreads.shape != (len(MEMBERS),) or not (spreads > 0).all():
            raise VqiError(
                f"detector: expected spreads above 0 of {', '.join(MEMBERS)}, got {spreads.tolist()}; run pca_fit again"
            )
        odd = sorted(name for name in arrays if name != _SPREADS and name.partition(".")[0] not in MEMBERS)
        if odd:
            raise VqiError(
                f"detector: expected only arrays of {', '.join(MEMBERS)}, got {', '.join(odd)}; run pca_fit again"
            )
        members = tuple(
            kind.from_arrays(_of_member(arrays, f"{name}."), shapes, settings) for name, kind in MEMBERS.items()
        )
        return cls(members, spreads)

    def caveat(self) -> str:
        """See ``Detector.caveat``: the members'."""
        return "; ".join(filter(None, (member.caveat() for member in self.members)))

    def facts(self) -> dict[str, int | float | str]:
        """Those of the members."""
        named = zip(MEMBERS, self.members, strict=True)
        return {f"{name}: {fact}": value for name, member in named for fact, value in member.facts().items()}


def _own_folds(images: int, seed: int) -> list[Rows]:
    order = np.random.default_rng(seed).permutation(images)
    return list(np.array_split(order, min(_OWN_FOLDS, images)))


def spreads_of(scores: DoubleArray) -> DoubleArray:
    """The standard deviation of each member's scores (members, n), not far below their mean; 1 where all are 0."""
    found: DoubleArray = np.maximum(scores.std(axis=1), _LEAST * scores.mean(axis=1))
    found[found == 0] = 1
    return found


def _combined(maps: Sequence[FloatArray], spreads: DoubleArray) -> FloatArray:
    """Maps of squared distances (M, h, w) of each member -> (M, h, w)."""
    distances = [np.sqrt(one, dtype=np.float64) / spread for one, spread in zip(maps, spreads, strict=True)]
    return np.asarray(np.square(np.sum(distances, axis=0)), np.float32)


def _of_member(arrays: Arrays, prefix: str) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
