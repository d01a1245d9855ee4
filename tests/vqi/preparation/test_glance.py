"""vqi.preparation.glance: what is seen of a category before it is prepared is what its preparation finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vqi.config import DatasetDownload
from vqi.datasets.plan import plan
from vqi.preparation.alone import prepare_alone
from vqi.preparation.glance import Glance, glance

ROTATED = 6  # EXIF's orientation


def source(root: Path) -> Path:
    """Different images of a category in two sub-folders, and some next to them."""
    for number, folder in enumerate(["mon", "mon", "tue", "tue", "tue", ".", "."]):
        path = root / "train/good" / folder / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.effect_noise((60, 40), 90 + number)
        exif = Image.Exif()
        exif[0x0112] = ROTATED if number == 6 else 1
        image.save(path, exif=exif)
    return root


def seen(root: Path, most: int = 100, **settings: Any) -> Glance:
    wanted = DatasetDownload(source=f"folder:{root}", **settings)
    (one,) = plan(wanted).plans
    return glance(one, wanted, most)


@pytest.mark.parametrize("group_by", ["", "none", r"/([0-9])\.png", "folder", r"good/(mon|tue)"])
def test_groups_are_those_of_the_preparation(tmp_path: Path, group_by: str) -> None:
    root = source(tmp_path / "w")
    wanted = DatasetDownload(source=f"folder:{root}", group_by=group_by)
    (tmp_path / "scratch").mkdir()
    report = prepare_alone(plan(wanted).dataset, "w", wanted, tmp_path / "scratch").report
    assert seen(root, group_by=group_by).groups.get("train", 7) == report.train_groups


def test_sizes_are_upright_and_the_most_frequent_first(tmp_path: Path) -> None:
    found = seen(source(tmp_path / "w"))
    assert (list(found.sizes.items()), found.looked_at) == ([("60x40", 6), ("40x60", 1)], 7)


def test_only_some_are_opened(tmp_path: Path) -> None:
    root = source(tmp_path / "w")
    (root / "train/good/x.png").write_bytes(b"no image")
    found = seen(root, most=3)
    assert found.looked_at <= 3
    found = seen(root)
    assert [(one.path, one.reason[:12]) for one in found.unreadable] == [("train/good/x.png", "not an image")]


def test_a_group_that_no_path_has_is_a_problem(tmp_path: Path) -> None:
    root = source(tmp_path / "w")
    assert "group_by 'shift' is found in none" in str(seen(root, group_by="shift").problem)
    assert seen(root, group_by="exif:10").problem is None, "that is in the files"
