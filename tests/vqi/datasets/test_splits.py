"""vqi.datasets.splits: fewer images, splits that are made here, and the same part on one side only."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from vqi.config import Division
from vqi.datasets.layout import Dataset, Entry
from vqi.datasets.splits import KEEP_ALL, divide
from vqi.photographs.similarity import Pair, group, near_duplicates, shrink

Pixels = npt.NDArray[np.uint8]


def part(seed: int, size: int = 64) -> Pixels:
    """Parts of one kind: the same waves, each with grain of its own, and light that varies."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    grain = np.kron(random.normal(0, 12, (size // 4, size // 4)), np.ones((4, 4)))
    grey = (120 + 50 * np.sin(9 * x) * np.cos(7 * y) + grain) * random.uniform(0.8, 1.2)
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def again(image: Pixels, seed: int) -> Pixels:
    """The same part photographed once more: other light, other noise."""
    random = np.random.default_rng(1000 + seed)
    changed = image * random.uniform(0.85, 1.15) + random.normal(0, 4, image.shape)
    return changed.clip(0, 255).astype(np.uint8)


def png(image: Pixels) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()


def entry(path: str, data: bytes) -> Entry:
    return Entry(path, partial(bytes, data))


def split_of(entries: tuple[Entry, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in entries:
        folder, _, name = one.path.rpartition("/")
        found.setdefault(folder, []).append(name)
    return found


def dataset(*entries: Entry) -> Dataset:
    return Dataset("d", None, {"c": entries})


def test_pairs_are_found_and_lookalikes_are_not() -> None:
    images = [part(i) for i in range(60)] + [again(part(i), i) for i in (3, 17, 40)]
    pairs = near_duplicates(np.stack([shrink(image) for image in images]))
    assert [(p.first, p.second) for p in pairs] == [(3, 60), (17, 61), (40, 62)]


def test_correlation_of_the_whole_image_would_pair_all_of_them() -> None:
    """Why what is shared is subtracted first."""
    squares = np.stack([shrink(part(i)).ravel() for i in range(10)])
    assert np.corrcoef(squares).min() > 0.8


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_images(count: int) -> None:
    squares = np.stack([shrink(part(0))] * count) if count else np.zeros((0, 32, 32), np.float32)
    assert [(p.first, p.second) for p in near_duplicates(squares)] == ([(0, 1)] if count == 2 else [])


def test_empty_images_are_like_nothing() -> None:
    assert near_duplicates(np.zeros((5, 32, 32), np.float32)) == []


def test_groups_are_transitive() -> None:
    labels = group(5, [Pair(0, 1, 1.0), Pair(1, 4, 1.0)])
    assert labels[0] == labels[1] == labels[4]
    assert len(set(labels.tolist())) == 3


def test_a_given_split_stays() -> None:
    entries = (entry("train/good/a.png", b""), entry("test/good/b.png", b""), entry("test/x/c.png", b""))
    assert divide(dataset(*entries), KEEP_ALL).categories["c"] == entries


def unsplit(count: int = 20) -> list[Entry]:
    good = [entry(f"all/good/{i:02}.png", png(part(i))) for i in range(count)]
    return [*good, entry("all/crack/x.png", png(part(99))), entry("ground_truth/crack/x_mask.png", b"mask")]


@pytest.mark.parametrize(("fraction", "train"), [(0.8, 16), (0.5, 10), (1.0, 20)])
def test_a_split_that_is_made(fraction: float, train: int) -> None:
    found = split_of(divide(dataset(*unsplit()), Division(train_fraction=fraction)).categories["c"])
    assert len(found["train/good"]) == train
    assert len(found.get("test/good", [])) == 20 - train
    assert (found["test/crack"], found["ground_truth/crack"]) == (["x.png"], ["x_mask.png"])


def test_the_seed_decides_and_the_order_does_not() -> None:
    def paths(entries: list[Entry], seed: int) -> set[str]:
        return {one.path for one in divide(dataset(*entries), Division(split_seed=seed)).categories["c"]}

    assert paths(unsplit(), 0) == paths(unsplit()[::-1], 0) != paths(unsplit(), 1)


def sides(options: Division, seeds: int) -> list[tuple[str, str]]:
    """The side on which the two photographs of part 3 are, for several seeds."""
    entries = [*unsplit(), entry("all/good/again.png", png(again(part(3), 3)))]
    found = []
    for seed in range(seeds):
        chosen = options.model_copy(update={"train_fraction": 0.5, "split_seed": seed})
        divided = divide(dataset(*entries), chosen).categories["c"]
        by_name = {e.path.rpartition("/")[2]: e.path.split("/")[0] for e in divided}
        found.append((by_name["03.png"], by_name["again.png"]))
    return found


def test_the_same_part_is_never_on_both_sides() -> None:
    assert all(one == other for one, other in sides(Division(), 12))
    assert any(one != other for one, other in sides(Division(hold_out_near_duplicates=False), 12))


def test_a_good_photograph_of_a_defective_part_is_for_the_test() -> None:
    entries = [*unsplit(), entry("all/crack/3.png", png(again(part(3), 3)))]
    for seed in range(6):
        found = split_of(divide(dataset(*entries), Division(split_seed=seed)).categories["c"])
        assert "03.png" in found["test/good"]


def test_images_that_are_too_alike_to_divide_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    same = png(part(1))
    entries = [entry(f"all/good/{i}.png", png(part(i)) if i < 10 else same) for i in range(30)]
    entries.append(entry("all/crack/x.png", same))
    found = split_of(divide(dataset(*entries), KEEP_ALL).categories["c"])
    assert len(found["train/good"]) < 24
    assert f"note: c: {len(found['train/good'])} good images train where train_fraction asks for 24" in (
        capsys.readouterr().err
    )
    divide(dataset(*unsplit()), KEEP_ALL)
    assert re.findall("note: .*", capsys.readouterr().err) == [
        "note: c has no train and test: train_fraction of its good images train"
    ]


def test_an_unreadable_image_is_no_reason_to_stop() -> None:
    entries = [*unsplit(), entry("all/good/bad.png", b"no image")]
    assert len(divide(dataset(*entries), KEEP_ALL).categories["c"]) == len(entries)


@pytest.mark.parametrize("made", [list, lambda entries: entries[::-1]])
def test_a_limit_keeps_the_masks_of_what_it_keeps(made: Callable[[list[Entry]], list[Entry]]) -> None:
    folders = ("train/good", "test/good", "test/x", "test/y")
    entries = [entry(f"{folder}/{i}.png", b"") for folder in folders for i in range(9)]
    entries += [entry(f"ground_truth/{kind}/{i}_mask.png", b"") for kind in "xy" for i in range(9)]
    found = split_of(divide(dataset(*made(entries)), Division(limit_per_class=3)).categories["c"])
    assert Counter({folder: len(names) for folder, names in found.items()}) == dict.fromkeys(found, 3)
    assert [n.replace("_mask", "") for n in found["ground_truth/x"]] == found["test/x"]
    assert found["test/x"] != found["test/y"] or found["test/good"] != found["test/x"], "chosen one by one"
    everything = divide(dataset(*entries), Division(limit_per_class=99)).categories["c"]
    assert len(everything) == len(entries)


def test_a_limit_counts_sub_folders_together_and_images_for_calibration_apart() -> None:
    paths = [f"train/good/{day}/{number}.png" for day in "abc" for number in range(4)]
    paths += [f"calibration/good/{number}.png" for number in range(4)]
    paths += ["test/good/a/1.png", "ground_truth/good/a/1_mask.png", "ground_truth/good/1_mask.png"]
    dataset = Dataset("d", None, {"c": tuple(entry(path, b"") for path in paths)})
    kept = divide(dataset, Division(limit_per_class=3)).categories["c"]
    found = Counter("/".join(one.path.split("/")[:2]) for one in kept)
    assert found == {"train/good": 3, "calibration/good": 3, "test/good": 1, "ground_truth/good": 1}
    assert "ground_truth/good/a/1_mask.png" in {one.path for one in kept}, "its mask, and not that of another image"
