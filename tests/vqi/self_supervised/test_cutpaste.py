"""CutPaste: sizes within the paper's ranges, classes, what is pasted."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vqi.config import CutPaste
from vqi.self_supervised.cutpaste import (
    CLASSES,
    CutPasteMethod,
    examples,
    patch_pasted,
    patch_size,
    scar_pasted,
    scar_size,
)
from vqi.sizes import Size, square

SIDE = 64


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 4, side: int = SIDE) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=seeded(7))


@given(st.integers(0, 2**31), st.sampled_from([(64, 64), (224, 224), (512, 192)]))
def test_patches_have_the_papers_area_and_aspect(seed: int, size: tuple[int, int]) -> None:
    height, width = patch_size(Size(*size), CutPaste(), seeded(seed))
    assert 1 <= height <= size[0]
    assert 1 <= width <= size[1]
    half = 0.5  # of a pixel, by rounding
    assert (height + half) * (width + half) >= 0.02 * size[0] * size[1]
    assert (height - half) * (width - half) <= 0.15 * size[0] * size[1]
    assert (height + half) / (width - half) >= 0.3
    assert (height - half) / (width + half) <= 3.3


@given(st.integers(0, 2**31))
def test_scars_have_the_papers_size(seed: int) -> None:
    width, length = scar_size(square(224), CutPaste(), seeded(seed))
    assert 2 <= width <= 16
    assert 10 <= length <= 25


@given(st.integers(0, 2**31))
def test_what_is_pasted_changes_one_place_only(seed: int) -> None:
    image = pictures(1)[0]
    for paste, most in ((patch_pasted, 0.16 * SIDE * SIDE), (scar_pasted, 30 * 30)):
        changed = (paste(image, CutPaste(), seeded(seed)) - image).abs().amax(dim=0) > 0  # H x W
        assert 0 < int(changed.sum()) <= most
        rows, columns = changed.any(dim=1).nonzero(), changed.any(dim=0).nonzero()
        box = int(rows[-1] - rows[0] + 1) * int(columns[-1] - columns[0] + 1)
        assert box <= 1.1 * most


def test_a_patch_without_jitter_is_a_piece_of_the_image() -> None:
    ramp = torch.arange(SIDE * SIDE, dtype=torch.float32).view(1, SIDE, SIDE).expand(3, -1, -1) / SIDE**2
    pasted = patch_pasted(ramp, CutPaste(patch_jitter=0), seeded(3))
    assert set(pasted.flatten().tolist()) <= set(ramp.flatten().tolist())
    assert not torch.equal(pasted, ramp)


@given(st.integers(0, 2**31), st.sampled_from(sorted(CLASSES)))
def test_every_example_differs_from_its_source_and_stays_in_range(seed: int, variant: str) -> None:
    images = pictures(2)
    images[:, :, :, SIDE // 8 :] = 0  # a black background: most pieces are as black as where they are pasted
    settings = CutPaste(variant=variant, patch_jitter=0)  # type: ignore[arg-type]
    batch, labels = examples(images, settings, seeded(seed))
    assert 0 <= float(batch.min()) <= float(batch.max()) <= 1
    differ = [not torch.equal(one, images[place % 2]) for place, one in enumerate(batch)]
    assert differ == (labels > 0).tolist()


def test_an_image_of_one_colour_stays_as_it_is() -> None:
    batch, _ = examples(torch.zeros(1, 3, SIDE, SIDE), CutPaste(variant="3way"), seeded())
    assert batch.shape == (3, 3, SIDE, SIDE)
    assert not batch.any()


@pytest.mark.parametrize("variant", CLASSES)
def test_all_classes_occur_and_all_but_the_first_are_changed(variant: str) -> None:
    images = pictures(12)
    batch, labels = examples(images, CutPaste(variant=variant), seeded())  # type: ignore[arg-type]
    assert labels.unique().tolist() == list(range(len(CLASSES[variant])))
    assert len(batch) == len(labels) == len(images) * len(CLASSES[variant])
    assert 0 <= float(batch.min()) <= float(batch.max()) <= 1
    torch.testing.assert_close(batch[labels == 0], images, rtol=0, atol=0)
    for label in labels.unique()[1:]:
        assert all(not torch.equal(a, b) for a, b in zip(batch[labels == label], images, strict=True))
    again, _ = examples(images, CutPaste(variant=variant), seeded())  # type: ignore[arg-type]
    torch.testing.assert_close(again, batch, rtol=0, atol=0)


@pytest.mark.parametrize(("layers", "linear"), [(1, [(6, 3)]), (3, [(6, 5), (5, 5), (5, 3)])])
def test_head_has_the_asked_depth(layers: int, linear: list[tuple[int, int]]) -> None:
    head = CutPasteMethod(6, CutPaste(head_layers=layers, head_width=5)).head
    found = [(layer.in_features, layer.out_features) for layer in head if isinstance(layer, torch.nn.Linear)]
    assert found == linear


def test_the_loss_by_hand() -> None:
    method = CutPasteMethod(2, CutPaste(variant="normal", head_layers=1))
    with torch.no_grad():
        method.head[0].weight.copy_(torch.eye(2))
        method.head[0].bias.zero_()
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 3.0]])  # two originals, two patched
    step = method.step(lambda batch: features, pictures(2), seeded())
    right, wrong = torch.log1p(torch.exp(torch.tensor([-1.0, -3.0]))), torch.log1p(torch.exp(torch.tensor([1.0, 2.0])))
    torch.testing.assert_close(step.loss, torch.cat([right, wrong]).mean())
    assert step.value == 0.5
