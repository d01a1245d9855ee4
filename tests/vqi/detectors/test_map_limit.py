"""The limit of the maps of good parts: from held-out maps, by their highest cells, counted in groups."""

import numpy as np

from vqi.detectors.calibration import conformal_threshold
from vqi.detectors.map_limit import map_limit


def test_it_is_the_highest_cell_of_the_rank_of_the_threshold() -> None:
    random = np.random.default_rng(0)
    maps = random.random((99, 3, 4)).astype(np.float32)
    groups = np.arange(99)
    threshold = conformal_threshold(random.random(99), 0.1, groups)
    assert threshold.rank == 90
    peaks = np.sort([one.max() for one in maps])
    assert map_limit(maps, groups, threshold) == peaks[89]
    assert (peaks > map_limit(maps, groups, threshold)).mean() < 0.1


def test_photographs_of_one_part_count_as_one() -> None:
    """Of ten parts, the odd one was photographed a hundred times: it is one of ten all the same."""
    groups = np.concatenate([np.arange(10), np.full(100, 9)])
    maps = np.concatenate([np.ones((9, 2, 2)), np.full((101, 2, 2), 5)]).astype(np.float32)
    threshold = conformal_threshold(np.arange(110.0), 0.2, groups)
    assert (threshold.n, threshold.rank) == (10, 9)
    assert map_limit(maps, groups, threshold) == 1
    assert map_limit(maps, np.arange(110), conformal_threshold(np.arange(110.0), 0.2)) == 5
