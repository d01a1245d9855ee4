"""SimSiam: the loss by hand, the stop-gradient, collapse."""

import math

import pytest
import torch

from vqi.config import SimSiam
from vqi.errors import VqiError
from vqi.self_supervised.simsiam import SimSiamMethod, negative_cosine


def small(**changed: object) -> SimSiamMethod:
    torch.manual_seed(0)
    return SimSiamMethod(6, SimSiam(projection_width=8, prediction_width=4, **changed))  # type: ignore[arg-type]


def test_negative_cosine_by_hand() -> None:
    p = torch.tensor([[3.0, 4.0], [1.0, 0.0]], requires_grad=True)
    z = torch.tensor([[4.0, 3.0], [0.0, 2.0]], requires_grad=True)
    loss = negative_cosine(p, z)
    assert float(loss.detach()) == pytest.approx(-(24 / 25 + 0) / 2)
    loss.backward()
    assert z.grad is None, "no gradient goes through the target"
    # d/dp of -cos(p, z) is -(z/|z| - cos * p/|p|) / |p|, and half of that for the mean of two
    expected = torch.tensor([[-(0.8 - 0.96 * 0.6) / 5, -(0.6 - 0.96 * 0.8) / 5], [0.0, -1.0]]) / 2
    torch.testing.assert_close(p.grad, expected)


def test_the_loss_is_symmetric_and_uses_each_view_as_target() -> None:
    method = small(crop_min_scale=1, flip=0, jitter=0, greyscale=0, blur=0)
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    encoded: list[torch.Tensor] = []

    def encode(batch: torch.Tensor) -> torch.Tensor:
        encoded.append(torch.rand(len(batch), 6, generator=torch.Generator().manual_seed(len(encoded))))
        return encoded[-1]

    step = method.step(encode, images, torch.Generator().manual_seed(0))
    z = [method.projection(features) for features in encoded]
    p = [method.prediction(one) for one in z]
    cosine = torch.nn.functional.cosine_similarity
    expected = -(cosine(p[0], z[1]).mean() + cosine(p[1], z[0]).mean()) / 2
    torch.testing.assert_close(step.loss, expected)


def test_layers_are_the_papers() -> None:
    method = small()
    norms = [layer for layer in method.projection if isinstance(layer, torch.nn.BatchNorm1d)]
    assert [norm.affine for norm in norms] == [True, True, False]
    assert isinstance(method.prediction[-1], torch.nn.Linear)
    assert method.base_lr() == pytest.approx(0.05 * 32 / 256)
    assert {id(p) for p in method.fixed_lr_parameters()} == {id(p) for p in method.prediction.parameters()}


def test_health_is_one_for_spread_outputs_and_nought_for_equal_ones() -> None:
    method = small()
    images = torch.rand(256, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    spread = method.step(lambda batch: torch.randn(len(batch), 6), images, torch.Generator().manual_seed(0))
    assert spread.health == pytest.approx(1, abs=0.3)
    method.eval()  # batch statistics would tear even equal outputs apart
    equal = method.step(lambda batch: torch.ones(len(batch), 6), images, torch.Generator().manual_seed(0))
    assert equal.health == pytest.approx(0, abs=1e-4)
    method.check_health(spread.health)
    with pytest.raises(VqiError, match="SimSiam collapsed"):
        method.check_health(equal.health)
    assert math.isfinite(equal.loss.item())
