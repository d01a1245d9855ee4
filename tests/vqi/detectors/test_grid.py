"""Maps of several layers on one grid."""

import numpy as np
from PIL import Image

from vqi.artifacts.features import FeatureMaps
from vqi.detectors.grid import enlarged, finest, on_one_grid


def test_enlarged_as_pillow_does() -> None:
    maps = np.random.default_rng(0).random((2, 3, 4), np.float32)
    for one, got in zip(maps, enlarged(maps, (9, 8)), strict=True):
        expected = np.asarray(Image.fromarray(one).resize((8, 9), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert enlarged(maps, (3, 4)) is maps


def test_layers_side_by_side() -> None:
    fine, coarse = np.zeros((2, 3, 4, 4), np.float32), np.ones((2, 5, 1, 2), np.float32)
    maps = FeatureMaps((coarse, fine))
    assert finest(maps.shapes) == (4, 4)
    whole = on_one_grid(maps)
    assert whole.shape == (2, 8, 4, 4)
    assert (whole[:, :5] == 1).all()
    assert (whole[:, 5:] == 0).all()
