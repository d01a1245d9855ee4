"""Augmentations: in range, different, repeatable, and off when they are turned off."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2.functional import gaussian_blur

from vqi.config import SimSiam
from vqi.self_supervised.augment import blurred, cropped, recoloured, uniform, view

OFF = SimSiam(crop_min_scale=1, flip=0, jitter=0, greyscale=0, blur=0)


def pictures(count: int = 6) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(5))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_views_differ_stay_in_range_and_leave_the_source_alone() -> None:
    images = pictures()
    before = images.clone()
    first, second = view(images, SimSiam(), seeded(1)), view(images, SimSiam(), seeded(2))
    assert first.shape == images.shape
    for one in (first, second):
        assert 0 <= float(one.min()) <= float(one.max()) <= 1
        assert all(not torch.allclose(a, b, atol=1e-3) for a, b in zip(one, images, strict=True))
    assert not torch.allclose(first, second)
    torch.testing.assert_close(images, before, rtol=0, atol=0)
    torch.testing.assert_close(view(images, SimSiam(), seeded(1)), first, rtol=0, atol=0)


@given(st.integers(0, 2**31), st.floats(0.05, 0.95), st.floats(0, 1), st.floats(0, 0.5))
def test_every_view_differs_from_its_source_and_stays_in_range(
    seed: int, scale: float, strength: float, hue: float
) -> None:
    images = pictures(3)
    settings = SimSiam(
        crop_min_scale=scale, brightness=strength, contrast=strength, saturation=strength, hue=hue, jitter=1
    )
    views = view(images, settings, seeded(seed))
    assert bool(torch.isfinite(views).all())
    assert 0 <= float(views.min()) <= float(views.max()) <= 1
    assert all(not torch.equal(one, image) for one, image in zip(views, images, strict=True))


@pytest.mark.parametrize(
    "changed",
    [{"crop_min_scale": 0.3}, {"flip": 1.0}, {"jitter": 1.0}, {"greyscale": 1.0}, {"blur": 1.0}],
)
def test_each_can_be_turned_on_alone(changed: dict[str, float]) -> None:
    images = pictures()
    torch.testing.assert_close(view(images, OFF, seeded()), images, atol=1e-4, rtol=0)
    assert not torch.allclose(view(images, OFF.model_copy(update=changed), seeded()), view(images, OFF, seeded()))


def test_a_flip_is_a_mirror() -> None:
    torch.manual_seed(0)
    image = pictures(1)
    grid_only = cropped(image, 1.0, 0.0, seeded())
    torch.testing.assert_close(cropped(image, 1.0, 1.0, seeded()), grid_only.flip(3), atol=1e-4, rtol=0)


def test_grey_stays_grey_under_saturation_and_hue() -> None:
    grey = pictures()[:, :1].expand(-1, 3, -1, -1).clone()
    settings = SimSiam(jitter=1, brightness=0, contrast=0, saturation=0.9, hue=0.4)
    torch.testing.assert_close(recoloured(grey, settings, seeded()), grey, atol=1e-3, rtol=0)


def test_blur_takes_away_detail_and_keeps_the_mean() -> None:
    images = pictures(4)
    result = blurred(images.clone(), 1.0, seeded())
    assert float(result.std()) < float(images.std())
    assert float(result.mean()) == pytest.approx(float(images.mean()), abs=0.01)


def test_blur_is_that_of_torchvision() -> None:
    images = torch.rand(3, 3, 64, 64, generator=seeded(2))
    result = blurred(images, 1.0, seeded(4))
    generator = seeded(4)
    uniform(generator, 3, 0, 1)
    sigmas = uniform(generator, 3, 0.1, 2.0)
    for image, sigma, got in zip(images, sigmas.tolist(), result, strict=True):
        expected = gaussian_blur(image, [7, 7], [sigma, sigma])
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
