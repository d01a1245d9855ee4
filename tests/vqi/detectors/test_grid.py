"""Maps of several layers on one grid."""

import numpy as np
from PIL import Image

from vqi.artifacts.features import FeatureMaps
from vqi.detectors.grid import coarsest, on_grid, resized


def test_enlarged_as_pillow_does() -> None:
    maps = np.random.default_rng(0).random((2, 3, 4), np.float32)
    for one, got in zip(maps, resized(maps, (9, 8)), strict=True):
        expected = np.asarray(Image.fromarray(one).resize((8, 9), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert resized(maps, (3, 4)) is maps


def test_averaged_over_the_cells_of_a_coarser_grid_as_pillow_does() -> None:
    maps = np.random.default_rng(0).random((2, 10, 7), np.float32)
    for one, got in zip(maps, resized(maps, (4, 3)), strict=True):
        expected = np.asarray(Image.fromarray(one).resize((3, 4), Image.Resampling.BOX))
        np.testing.assert_allclose(got.mean(), expected.mean(), rtol=0.02)
        assert got.shape == (4, 3)
    even = maps[:, :, :6]
    np.testing.assert_allclose(resized(even, (5, 3)), even.reshape(2, 5, 2, 3, 2).mean(axis=(2, 4)), rtol=1e-5)
    np.testing.assert_allclose(resized(even, (4, 3)).mean(), even.mean(), rtol=1e-5)


def test_one_axis_finer_and_one_coarser() -> None:
    assert resized(np.ones((1, 8, 2), np.float32), (4, 6)).tolist() == np.ones((1, 4, 6)).tolist()


def test_layers_side_by_side() -> None:
    fine, coarse = np.zeros((2, 3, 4, 4), np.float32), np.ones((2, 5, 1, 2), np.float32)
    maps = FeatureMaps((coarse, fine))
    assert coarsest(maps.shapes) == (1, 2)
    for grid in ((4, 4), (1, 2)):
        whole = on_grid(maps, grid)
        assert whole.shape == (2, 8, *grid)
        assert (whole[:, :5] == 1).all()
        assert (whole[:, 5:] == 0).all()
