"""SimSiam: the loss by hand, the stop-gradient, collapse."""

import math
import re
from pathlib import Path

import pytest
import torch

from vqi.config import SimSiam
from vqi.digests import sha256_file
from vqi.errors import VqiError
from vqi.network.building import build
from vqi.self_supervised.simsiam import SimSiamMethod, load_encoder, negative_cosine


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
    assert method.base_lr() == pytest.approx(0.25 * 32 / 256)
    assert {id(p) for p in method.fixed_lr_parameters()} == {id(p) for p in method.prediction.parameters()}


def test_the_figure_is_one_over_root_d_for_spread_outputs_and_nought_for_equal_ones() -> None:
    method = small()
    assert method.healthy == pytest.approx(1 / math.sqrt(8))
    images = torch.rand(256, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    spread = method.step(lambda batch: torch.randn(len(batch), 6), images, torch.Generator().manual_seed(0))
    assert spread.value == pytest.approx(method.healthy, rel=0.3)
    method.eval()  # batch statistics would make even equal outputs different
    equal = method.step(lambda batch: torch.ones(len(batch), 6), images, torch.Generator().manual_seed(0))
    assert equal.value == pytest.approx(0, abs=1e-4)
    method.check(spread.value)
    with pytest.raises(VqiError, match="SimSiam collapsed"):
        method.check(equal.value)
    assert math.isfinite(equal.loss.item())


def checkpoint(path: Path, state: dict[str, torch.Tensor], prefix: str = "module.encoder.") -> str:
    """A checkpoint as the authors' code writes it: the projection is in the place of the classifier."""
    encoder = {f"{prefix}{name}": tensor for name, tensor in state.items() if not name.startswith("fc.")}
    heads = {f"{prefix}fc.0.weight": torch.ones(4, 4), "module.predictor.0.weight": torch.ones(4, 4)}
    torch.save({"epoch": 100, "arch": "resnet18", "state_dict": encoder | heads}, path)
    return f"{path}#sha256={sha256_file(path)}"


def test_the_encoder_of_a_published_checkpoint_is_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, other = (build("resnet18", "random", seed).model for seed in (0, 1))
    classifier = model.fc.weight.clone()
    SimSiamMethod.prepare(model, SimSiam(initial_checkpoint=checkpoint(tmp_path / "c.pth", other.state_dict())))
    names = [name for name in model.state_dict() if not name.startswith("fc.")]
    assert all(torch.equal(model.state_dict()[name], other.state_dict()[name]) for name in names)
    assert torch.equal(model.fc.weight, classifier)
    assert f"the {len(names)} tensors of the encoder are loaded; 2 of the projection" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("prefix", "left_out", "message"),
    [
        ("", "", "expected names like 'module.encoder.conv1.weight', got"),
        ("module.encoder_q.", "", "nothing could be loaded"),
        ("module.encoder.", "layer4.1.conv2.weight", "do not fit the backbone: 121 of 122 names match"),
    ],
)
def test_a_checkpoint_that_does_not_fit(tmp_path: Path, prefix: str, left_out: str, message: str) -> None:
    model = build("resnet18", "random", 0).model
    state = {name: tensor for name, tensor in model.state_dict().items() if name != left_out}
    with pytest.raises(VqiError, match=re.escape(message)):
        load_encoder(model, checkpoint(tmp_path / "c.pth", state, prefix))


def test_a_checkpoint_of_another_architecture_with_the_same_names(tmp_path: Path) -> None:
    state = {name: tensor.clone() for name, tensor in build("resnet18", "random", 0).model.state_dict().items()}
    state["conv1.weight"] = state["conv1.weight"][:, :1]  # of grey images
    wrong = re.escape("'conv1.weight' has shape (64, 1, 7, 7), expected (64, 3, 7, 7)")
    with pytest.raises(VqiError, match=wrong):
        load_encoder(build("resnet18", "random", 0).model, checkpoint(tmp_path / "c.pth", state))
