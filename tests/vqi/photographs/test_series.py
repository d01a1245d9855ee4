"""Series of photographs of one part, told apart from parts that only lie alike."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from vqi.photographs import similarity
from vqi.photographs.similarity import group, near_duplicates, series, shrink

RANDOM = np.random.default_rng


def part(marked: bool, random: np.random.Generator) -> Image.Image:
    """A drawn bracket; ``marked`` ones have a surface of their own."""
    image = Image.new("L", (128, 128), 60)
    draw = ImageDraw.Draw(image)
    draw.rectangle((35, 50, 95, 75), fill=170)
    draw.rectangle((35, 50, 50, 100), fill=170)
    if not marked:
        return image
    surface = Image.fromarray(random.normal(0, 15, (12, 12)).astype(np.float32)).resize((128, 128), Image.BICUBIC)
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + np.asarray(surface), 0, 255).astype(np.uint8))


def squares(parts: int, photographs: int, marked: bool, seed: int = 0) -> np.ndarray:
    """Each part lies a little otherwise; its photographs differ by far less."""
    random = RANDOM(seed)
    found = []
    for _ in range(parts):
        one, turn, right, down = part(marked, random), *random.normal(0, (1.5, 2, 2))
        for _ in range(photographs):
            jitter = random.normal(0, 0.15, 3)
            moved = one.rotate(turn + jitter[0], translate=(right + jitter[1], down + jitter[2]), fillcolor=60)
            grey = np.asarray(moved, np.float32) * random.uniform(0.97, 1.03) + random.normal(0, 4, (128, 128))
            found.append(shrink(np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)))
    return np.stack(found)


@pytest.mark.parametrize(("parts", "photographs"), [(7, 3), (30, 3), (6, 10), (2, 10), (25, 1)])
def test_photographs_of_one_part_are_a_series(parts: int, photographs: int) -> None:
    found = series(squares(parts, photographs, marked=True))
    truth = np.repeat(np.arange(parts), photographs)
    assert ((found[:, None] == found) == (truth[:, None] == truth)).mean() > 0.99


def test_parts_that_only_lie_alike_are_no_series() -> None:
    """Without a mark of their own, 60 parts would be taken for a few."""
    found = squares(60, 1, marked=False)
    by_nearness = len(set(group(60, near_duplicates(found))))
    assert by_nearness < 45
    assert len(set(series(found))) >= by_nearness + 8


def test_nearness_alone_decides_among_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    found = squares(12, 3, marked=True)
    monkeypatch.setattr(similarity, "MOST", 35)
    np.testing.assert_array_equal(series(found), group(36, near_duplicates(found)))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few(count: int) -> None:
    assert len(series(squares(3, 1, marked=True)[:count])) == count


def test_exact_copies_are_a_series() -> None:
    found = series(np.repeat(squares(9, 1, marked=True), 3, axis=0))
    assert (found.reshape(9, 3) == found[::3, None]).all()
    assert len(set(found)) == 9
