"""From which value on a place of an anomaly map is shown as anomalous: the limit of the maps of good parts.

It is set from the highest cells of held-out good images' maps as the threshold is from their scores, at the same rate.
So a good part shows such a place as rarely as it is flagged, wherever on it the place is.
"""

from __future__ import annotations

import numpy as np

from vqi.artifacts.grouped import Groups
from vqi.detectors.calibration import threshold_of
from vqi.detectors.interface import FloatArray


def map_limit(maps: FloatArray, target_fpr: float, groups: Groups) -> float:
    """The threshold of the maps' highest cells, which are squared distances, as scores are distances.

    Args:
        maps: (m, h, w), held-out maps of good images.
        target_fpr: Share of good images that may show an anomalous place, in (0, 1).
        groups: (m,), equal for images that belong together.

    Raises:
        VqiError: As for ``operating_points``.
    """
    highest = np.sqrt(maps.max(axis=(1, 2)).astype(np.float64))
    return threshold_of(highest, target_fpr, groups).value ** 2
