"""The limit of the maps of good parts: from held-out maps, by their highest cells, as the threshold is from scores."""

import numpy as np
import pytest

from vqi.detectors.calibration import threshold_of
from vqi.detectors.map_limit import highest_of, map_limit


def test_it_is_the_highest_cell_of_the_rank_of_the_threshold() -> None:
    maps = np.random.default_rng(0).random((199, 3, 4)).astype(np.float32)
    limit = map_limit(highest_of(maps), 0.1, np.arange(199))
    peaks = np.sort([one.max() for one in maps])
    assert limit == pytest.approx(peaks[179])
    assert (peaks > limit * (1 + 1e-6)).sum() == 19


def test_photographs_of_one_part_count_as_one() -> None:
    """Of forty parts, the odd one was photographed a hundred times: it is one of forty all the same."""
    groups = np.concatenate([np.arange(40), np.full(100, 39)])
    maps = np.concatenate([np.ones((39, 2, 2)), np.full((101, 2, 2), 5)]).astype(np.float32)
    assert map_limit(highest_of(maps), 0.1, groups) == pytest.approx(1)
    assert map_limit(highest_of(maps), 0.1, np.arange(140)) == pytest.approx(5)


def test_with_few_parts_it_is_beyond_all_of_them_as_the_threshold_is() -> None:
    maps = np.random.default_rng(0).lognormal(size=(12, 3, 3)).astype(np.float32)
    highest = np.sqrt(maps.max(axis=(1, 2)))
    assert threshold_of(highest, 0.01).method == "fitted tail"
    assert map_limit(highest_of(maps), 0.01, np.arange(12)) > maps.max()
