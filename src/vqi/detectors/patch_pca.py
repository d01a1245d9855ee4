"""Feature reconstruction error per position: one subspace for the vectors of all positions of all good images.

What is normal anywhere is normal everywhere, so parts need not lie the same way in each photograph, and a small defect
is not averaged out in a large flawless part: the image's score is that of its most anomalous positions.

The layers are brought to the grid of the deepest one and their channels to one scale, as for ``pca``.

Source: Lendering, Akdag, Bondarev, "SubspaceAD: Training-Free Few-Shot Anomaly Detection via Subspace Modeling", arXiv
2602.23013 (reconstruction residual of patch features under PCA).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.artifacts.features import FeatureMaps, Shape
from vqi.config import PcaFit
from vqi.detectors.grid import Grid, coarsest
from vqi.detectors.interface import Arrays, Detector, Fitted, FloatArray, Rows
from vqi.detectors.scaling import ChannelScaling, others, scaling_from
from vqi.detectors.subspace import (
    Subspace,
    moments,
    require_two,
    squared_distances,
    subspace_from,
    unexplained,
)


@dataclass(frozen=True)
class PatchPca(Detector):
    """Each position by itself, one subspace for all positions of all good images: for parts that lie any way."""

    subspace: Subspace  # of (C,), C the sum of the layers' channels
    scaling: ChannelScaling
    grid: Grid

    @classmethod
    def fit(cls, train: FeatureMaps, settings: PcaFit, folds: Sequence[Rows] = ()) -> Fitted[PatchPca]:
        """See ``Detector.fit``; the channels are scaled by all images, those of the folds among them."""
        require_two(len(train))
        scaling, grid = ChannelScaling.fit(train, settings.scaling), coarsest(train.shapes)
        centre = np.zeros(len(scaling.mean)) if settings.scaling != "raw" else scaling.mean.astype(np.float64)
        whole = moments(scaling.positions(train), centre)
        fitted = whole.fit(settings.variance, len(train)).in_single()  # first: it refuses what no fold can score
        held_out = np.full((len(train), *grid), np.nan, np.float32)
        for fold in folds:
            part = train.rows(fold)
            rest = whole.without(moments(scaling.positions(part), centre))
            model = rest.fit(settings.variance, len(train) - len(fold))
            held_out[fold] = cls(model, scaling, grid).anomaly_maps(part)
        return Fitted(cls(fitted, scaling, grid), held_out)

    def anomaly_maps(self, maps: FeatureMaps) -> FloatArray:
        """The squared residual of each position, (M, h, w) float32."""
        found = [squared_distances(positions, self.subspace) for positions in self.scaling.positions(maps)]
        flat = np.concatenate(found) if found else np.zeros(0)
        return flat.reshape(-1, *self.grid).astype(np.float32)

    def unexplained(self, maps: FeatureMaps) -> float:
        """See ``Detector.unexplained``."""
        return unexplained(self.scaling.positions(maps), self.subspace)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """See ``Detector.arrays``."""
        return {**self.subspace.arrays(), **self.scaling.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Arrays, shapes: Sequence[Shape], settings: PcaFit) -> PatchPca:
        """See ``Detector.from_arrays``."""
        channels = sum(c for c, _, _ in shapes)
        scaling = scaling_from(arrays, channels, settings.scaling)
        return cls(subspace_from(others(arrays), channels), scaling, coarsest(shapes))

    def caveat(self) -> str:
        """See ``Detector.caveat``."""
        return self.subspace.caveat()

    def facts(self) -> dict[str, int | float | str]:
        """How many components there are."""
        return {"components kept": len(self.subspace.components)}
