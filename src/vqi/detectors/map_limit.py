"""From which value on a place of an anomaly map is shown as anomalous: the limit of the maps of good parts.

It is set as the threshold of the scores is: an order statistic of held-out good images, of the same rank, counted in
groups. So a good part shows such a place as rarely as it is flagged, wherever on it the place is.
"""

from __future__ import annotations

from vqi.artifacts.grouped import Groups, score_of_rank
from vqi.artifacts.threshold import Threshold
from vqi.detectors.interface import FloatArray


def map_limit(maps: FloatArray, groups: Groups, threshold: Threshold) -> float:
    """The highest cell of the map of the rank of the threshold, among the highest cells of good images' maps.

    Args:
        maps: (m, h, w), held-out maps of good images.
        groups: (m,), equal for images that belong together.
        threshold: Of the scores of these images.
    """
    return score_of_rank(maps.max(axis=(1, 2)), groups, threshold.rank)
