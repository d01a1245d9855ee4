"""The encoder: the part that is frozen, and what is computed in which precision."""

import pytest
import torch

from vqi.config import Finetune
from vqi.network.building import build
from vqi.network.engines import choose
from vqi.self_supervised.encoder import Encoder, GroupedInFp32, stage_before
from vqi.sizes import square


@pytest.mark.parametrize(("groups", "dtype"), [(1, torch.bfloat16), (2, torch.float32), (4, torch.float32)])
def test_only_grouped_convolutions_stay_in_fp32(groups: int, dtype: torch.dtype) -> None:
    convolution = torch.nn.Conv2d(4, 4, 3, groups=groups)
    images = torch.rand(2, 4, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        with GroupedInFp32():
            assert convolution(images.bfloat16()).dtype == dtype
            assert torch.conv2d(images, convolution.weight, groups=groups).dtype == dtype
        assert convolution(images).dtype == torch.bfloat16
    with GroupedInFp32():
        torch.testing.assert_close(convolution(images), convolution(images), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("layer", "before"), [("blocks.5", "blocks.4"), ("layer1", "layer0"), ("x0", ""), ("norm", "")]
)
def test_the_stage_before(layer: str, before: str) -> None:
    assert stage_before(layer) == before


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_part_that_stands_still_changes_nothing_of_the_output(precision: str) -> None:
    backbone = build("tf_efficientnet_lite0", "pretrained", size=square(64))
    pixels = torch.randint(0, 256, (3, 3, 64, 64), generator=torch.Generator().manual_seed(0)) / 255
    runtime = choose("eager", precision)
    features = []
    for frozen_up_to in ("", "blocks.4"):
        encoder = Encoder(backbone, "blocks.5", Finetune(frozen_up_to=frozen_up_to), runtime, square(64))
        encoder.set_training(False)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            features.append(encoder(pixels).float())
    tolerance = 1e-4 if precision == "fp32" else 0.05
    assert float((features[0] - features[1]).norm() / features[0].norm()) < tolerance
