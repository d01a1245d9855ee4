"""From which value on a place of an anomaly map is shown as anomalous: the limit of the maps of good parts.

It is set from the highest cells of held-out good images' maps as the threshold is from their scores, at the same rate.
So a good part shows such a place as rarely as it is flagged, wherever on it the place is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vqi.artifacts.grouped import Groups
from vqi.detectors.calibration import threshold_of
from vqi.detectors.interface import FloatArray


def highest_of(maps: FloatArray) -> npt.NDArray[np.float64]:
    """The highest cell of each of maps (m, h, w), (m,): its square root, for cells are squared distances, scores are
    not."""
    found: npt.NDArray[np.float64] = np.sqrt(maps.max(axis=(1, 2)).astype(np.float64))
    return found


def map_limit(highest: npt.NDArray[np.float64], target_fpr: float, groups: Groups) -> float:
    """The threshold of the maps' highest cells.

    Args:
        highest: (m,), of held-out maps of good images, as ``highest_of`` gives them.
        target_fpr: Share of good images that may show an anomalous place, in (0, 1).
        groups: (m,), equal for images that belong together.

    Raises:
        VqiError: As for ``operating_points``.
    """
    return threshold_of(highest, target_fpr, groups).value ** 2
