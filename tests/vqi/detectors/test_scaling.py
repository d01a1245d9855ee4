"""Channels on one scale."""

import numpy as np
import pytest

from vqi.artifacts.features import FeatureMaps
from vqi.detectors.scaling import ChannelScaling
from vqi.errors import VqiError

RANDOM = np.random.default_rng(0)
LAYERS = (
    RANDOM.normal(3, 2, size=(20, 4, 4, 4)).astype(np.float32),
    RANDOM.normal(-1, 50, size=(20, 3, 2, 2)).astype(np.float32),
)


def test_each_channel_has_mean_0_and_spread_1() -> None:
    values = ChannelScaling.fit(FeatureMaps(LAYERS), "standardised").apply(FeatureMaps(LAYERS))
    assert values.shape == (20, 7, 2, 2)
    np.testing.assert_allclose(values.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(values.std(axis=(0, 2, 3)), 1, rtol=1e-4)
    squashed = ChannelScaling.fit(FeatureMaps(LAYERS), "squashed").apply(FeatureMaps(LAYERS))
    np.testing.assert_allclose(squashed, np.tanh(values / 2), rtol=1e-5)


def test_raw_is_as_it_is() -> None:
    one = FeatureMaps(LAYERS[:1])
    assert ChannelScaling.fit(one, "raw").apply(one) is LAYERS[0]


def test_a_channel_that_never_varies_does_not_drown_the_others() -> None:
    dead = LAYERS[0].copy()
    dead[:, 1] = 0
    scaling = ChannelScaling.fit(FeatureMaps((dead,)), "standardised")
    new = dead[:1].copy()
    new[0, 1, 0, 0] = 0.01
    assert 0 < scaling.apply(FeatureMaps((new,)))[0, 1, 0, 0] < 10


@pytest.mark.parametrize("factor", [1e16, 1e30])
def test_what_is_too_large_is_said(factor: float) -> None:
    with pytest.raises(VqiError, match="too large"):
        ChannelScaling.fit(FeatureMaps((LAYERS[0] * np.float32(factor),)), "squashed")


def test_nothing_is_learned_from_images_that_are_all_the_same() -> None:
    with pytest.raises(VqiError, match="all 5 good training images give the same features"):
        ChannelScaling.fit(FeatureMaps((np.repeat(LAYERS[0][:1], 5, axis=0),)), "squashed")
