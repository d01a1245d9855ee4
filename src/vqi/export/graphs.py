"""Detectors as networks that a run time computes: features -> anomaly map -> score, verdict and p-value. Imports torch.

One class per detector, and one line in ``GRAPHS``; a detector that has none cannot be exported. They compute what the
detectors' ``anomaly_maps`` do, for one image, in float32 throughout, because run times have no float64 on most devices.
So a squared distance from a subspace is that of the residual itself: as a difference of two squares it would lose what
float64 keeps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vqi.artifacts.detector import DetectorArtifact
from vqi.artifacts.features import Shape
from vqi.artifacts.grouped import weights
from vqi.detectors import grid
from vqi.detectors.coordinates import Coordinates
from vqi.detectors.ensemble import Ensemble
from vqi.detectors.interface import Detector
from vqi.detectors.mahalanobis import Mahalanobis
from vqi.detectors.neighbours import Neighbours
from vqi.detectors.patch_pca import PatchPca
from vqi.detectors.pca import Pca
from vqi.detectors.scaling import ChannelScaling
from vqi.detectors.subspace import Subspace, norms2
from vqi.errors import VqiError

_LEAST = 1e-18  # length of a vector: shorter ones are not brought to 1


class Scaled(nn.Module):
    """The maps of some layers -> their scaled channels on the coarsest grid: see ``ChannelScaling``."""

    def __init__(self, scaling: ChannelScaling, shapes: Sequence[Shape]) -> None:
        super().__init__()
        h, w = grid.coarsest(shapes)
        self.kind = scaling.kind
        self.mean, self.spread = _tensor(scaling.mean[:, None, None]), _tensor(scaling.spread[:, None, None])
        self.rows = [
            None if one[1] == h else _tensor(grid.weights(one[1], h)[None, None]) for one in shapes
        ]  # h x that of a layer
        self.columns = [None if one[2] == w else _tensor(grid.weights(one[2], w).T[None, None]) for one in shapes]

    def forward(self, *layers: torch.Tensor) -> torch.Tensor:
        """(1, C, h, w) per layer -> (1, C, h, w) with C the sum of their channels."""
        parts = []
        for one, rows, columns in zip(layers, self.rows, self.columns, strict=True):
            tall = one if rows is None else rows @ one
            parts.append(tall if columns is None else tall @ columns)
        values = torch.cat(parts, dim=1)
        if self.kind == "raw":
            return values
        values = (values - self.mean) / self.spread
        return torch.tanh(values / 2) if self.kind == "squashed" else values


class PcaGraph(nn.Module):
    """See ``Pca.anomaly_maps``."""

    def __init__(self, detector: Pca, shapes: Sequence[Shape]) -> None:
        super().__init__()
        self.scaled, self.grid = Scaled(detector.scaling, shapes), detector.grid
        self.directions = None if detector.directions is None else _tensor(detector.directions[None])  # 1 x R x C
        self.residuals = Residuals(detector.subspace)

    def forward(self, *layers: torch.Tensor) -> torch.Tensor:
        """(1, C, h, w) per layer -> (1, h, w)."""
        values = self.scaled(*layers).flatten(2)  # 1 x C x h*w
        if self.directions is not None:
            values = self.directions @ values  # 1 x R x h*w
        residuals = self.residuals(values.reshape(1, -1))  # 1 x R*h*w
        summed: torch.Tensor = residuals.square().reshape(1, -1, *self.grid).sum(dim=1)
        return summed


class PatchPcaGraph(nn.Module):
    """See ``PatchPca.anomaly_maps``."""

    def __init__(self, detector: PatchPca, shapes: Sequence[Shape]) -> None:
        super().__init__()
        self.scaled, self.grid = Scaled(detector.scaling, shapes), detector.grid
        self.residuals = Residuals(detector.subspace)

    def forward(self, *layers: torch.Tensor) -> torch.Tensor:
        """(1, C, h, w) per layer -> (1, h, w)."""
        positions = _positions(self.scaled(*layers))  # h*w x C
        found: torch.Tensor = self.residuals(positions).square().sum(dim=1).reshape(1, *self.grid)
        return found


class Coordinated(nn.Module):
    """The maps of some layers -> the coordinates of each position: see ``vqi.detectors.coordinates``."""

    def __init__(self, coordinates: Coordinates, shapes: Sequence[Shape]) -> None:
        super().__init__()
        self.scaled, self.unit = Scaled(coordinates.scaling, shapes), coordinates.unit
        self.negative_mean = _tensor(-coordinates.subspace.mean)  # C
        self.components = _tensor(coordinates.subspace.components)  # Q x C

    def forward(self, *layers: torch.Tensor) -> torch.Tensor:
        """(1, C, h, w) per layer -> (h*w, Q), row by row."""
        positions = _positions(self.scaled(*layers))  # h*w x C
        if self.unit:
            lengths = positions.square().sum(dim=1, keepdim=True).sqrt()
            positions = positions * _inverse(torch.clamp(lengths, min=_LEAST))
        along: torch.Tensor = (positions + self.negative_mean) @ self.components.T
        return along


class MahalanobisGraph(nn.Module):
    """See ``Mahalanobis.anomaly_maps``."""

    def __init__(self, detector: Mahalanobis, shapes: Sequence[Shape]) -> None:
        super().__init__()
        self.coordinates, self.grid = Coordinated(detector.coordinates, shapes), detector.grid
        self.negative_means = _tensor(-detector.means)  # P x Q
        self.whitening = _tensor(detector.whitening)  # P x Q x Q

    def forward(self, *layers: torch.Tensor) -> torch.Tensor:
        """(1, C, h, w) per layer -> (1, h, w)."""
        centred = self.coordinates(*layers) + self.negative_means  # P x Q
        white = self.whitening @ centred.reshape(*self.negative_means.shape, 1)  # P x Q x 1
        found: torch.Tensor = white.square().sum(dim=(1, 2)).reshape(1, *self.grid)
        return found


class NeighboursGraph(nn.Module):
    """See ``Neighbours.anomaly_maps``."""

    def __init__(self, detector: Neighbours, shapes: Sequence[Shape]) -> None:
        super().__init__()
        self.coordinates, self.grid = Coordinated(detector.coordinates, shapes), detector.grid
        self.factors, self.negative_bank = _tensor(detector.factors), _tensor(-detector.bank)  # Q, B x Q
        # with half of the squared lengths as one coordinate more: OpenVINO would add them in a new operation
        halves = norms2(detector.bank)[:, None] / 2
        self.ones = torch.ones(math.prod(detector.grid), 1)  # P x 1
        self.nearness = _tensor(np.concatenate([-detector.bank, halves], axis=1))  # B x Q+1

    def forward(self, *layers: torch.Tensor) -> torch.Tensor:
        """(1, C, h, w) per layer -> (1, h, w)."""
        vectors = self.coordinates(*layers) * self.factors  # P x Q
        longer = torch.cat([vectors, self.ones], dim=1)  # P x Q+1
        nearest = (longer @ self.nearness.T).argmin(dim=1)  # P
        found: torch.Tensor = (vectors + self.negative_bank[nearest]).square().sum(dim=1).reshape(1, *self.grid)
        return found


class EnsembleGraph(nn.Module):
    """See ``Ensemble.anomaly_maps``."""

    def __init__(self, detector: Ensemble, shapes: Sequence[Shape]) -> None:
        super().__init__()
        self.members = nn.ModuleList(graph_of(member, shapes) for member in detector.members)
        self.spreads = detector.spreads.tolist()

    def forward(self, *layers: torch.Tensor) -> torch.Tensor:
        """(1, C, h, w) per layer -> (1, h, w)."""
        distances = [member(*layers).sqrt() / by for member, by in zip(self.members, self.spreads, strict=True)]
        found: torch.Tensor = torch.stack(distances).sum(dim=0).square()
        return found


class Residuals(nn.Module):
    """What a subspace leaves of vectors (N, D), with the other sign, (N, D)."""

    def __init__(self, subspace: Subspace) -> None:
        super().__init__()
        self.mean, self.components = _tensor(subspace.mean), _tensor(subspace.components)  # D, K x D

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """(N, D) -> (N, D)."""
        centred = vectors - self.mean
        # with this sign: the other way round OpenVINO makes a new product, of negated components, which is not marked
        return (centred @ self.components.T) @ self.components - centred


class Verdict(nn.Module):
    """The anomaly map of an image -> its score, whether it is flagged, its p-value, and the map."""

    def __init__(self, artifact: DetectorArtifact, cells: int) -> None:
        super().__init__()
        record = artifact.record
        self.highest = max(1, round(record.settings.aggregate * cells))
        self.threshold = record.threshold.value
        self.calibration, self.shares = _tensor(artifact.calibration_scores), _tensor(weights(artifact.groups))
        self.groups = len(np.unique(artifact.groups))

    def forward(self, anomaly_map: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """(1, h, w) -> score (1,), flagged (1,), p-value (1,), and the map."""
        highest = torch.topk(anomaly_map.flatten(1), self.highest).values  # 1 x n
        score = highest.mean(dim=1).sqrt()  # 1
        flagged = torch.logical_not(score <= self.threshold)  # what is not a number does not pass
        above = torch.where(self.calibration >= score, self.shares, torch.zeros_like(self.shares)).sum()
        p_value = torch.clamp((1 + above) / (self.groups + 1), max=1).reshape(1)
        return score, flagged, p_value, anomaly_map


class Judge(nn.Module):
    """The features of an image -> what a model says of it."""

    def __init__(self, detector: nn.Module, verdict: Verdict) -> None:
        super().__init__()
        self.detector, self.verdict = detector, verdict

    def forward(self, *layers: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(1, C, h, w) per layer -> score, flagged, p-value, map: see ``Verdict``."""
        found: tuple[torch.Tensor, ...] = self.verdict(self.detector(*layers))
        return found


GRAPHS: Mapping[type[Detector], Callable[[Any, Sequence[Shape]], nn.Module]] = {
    Pca: PcaGraph,
    PatchPca: PatchPcaGraph,
    Mahalanobis: MahalanobisGraph,
    Neighbours: NeighboursGraph,
    Ensemble: EnsembleGraph,
}


def graph_of(detector: Detector, shapes: Sequence[Shape]) -> nn.Module:
    """The network that computes a detector's map, from maps of ``shapes`` (C, h, w), (1, C, h, w) each, to (1, h, w).

    Raises:
        VqiError: There is none for this detector.
    """
    kind = type(detector)
    if kind not in GRAPHS:
        known = ", ".join(sorted(one.__name__ for one in GRAPHS))
        raise VqiError(f"a detector {kind.__name__} cannot be exported: expected one of {known}; train with another")
    return GRAPHS[kind](detector, shapes)


def judge_of(detector: Detector, artifact: DetectorArtifact) -> Judge:
    """All that comes after the features.

    Raises:
        VqiError: As ``graph_of``.
    """
    shapes = artifact.record.shapes
    h, w = grid.coarsest(shapes)
    return Judge(graph_of(detector, shapes), Verdict(artifact, h * w))


def _positions(maps: torch.Tensor) -> torch.Tensor:
    """(1, C, h, w) -> (h*w, C), row by row."""
    found: torch.Tensor = maps.reshape(maps.shape[1], -1).T
    return found


def _inverse(values: torch.Tensor) -> torch.Tensor:
    """1 / values: Newton's steps after a quotient, which OpenVINO may compute in bf16 whatever is said."""
    found: torch.Tensor = 1 / values
    negative = values * -1.0
    for _ in range(3):
        found = found * (negative * found + 2.0)
    return found


def _tensor(values: npt.NDArray[Any]) -> torch.Tensor:
    return torch.tensor(np.asarray(values, np.float32))
