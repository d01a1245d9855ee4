"""vqi.datasets.plan: what becomes of photographs, told from where they lie."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vqi.config import DatasetDownload
from vqi.datasets.plan import Plan, plan
from vqi.datasets.splits import divide
from vqi.errors import VqiError


def made(root: Path, **folders: int) -> Path:
    for folder, number in folders.items():
        for one in range(number):
            file = root / folder.replace("__", "/") / f"{one}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    return root


def planned(root: Path, **settings: Any) -> tuple[Plan, ...]:
    return plan(DatasetDownload(source=f"folder:{root}", **settings)).plans


def test_a_layout(tmp_path: Path) -> None:
    root = made(tmp_path, w__train__good=9, w__test__good=2, w__test__cut=3, w__calibration__good=1, v__train__ok=4)
    v, w = planned(root)
    assert (v.train, v.test, v.problem, v.unsplit) == (4, {}, None, False)
    assert (w.train, w.test, w.problem, w.unsplit) == (9, {"cut": 3, "good": 2}, None, False)
    assert w.files["calibration/good"] == 1
    (only,) = planned(root, only_categories=["w"], limit_per_class=5)
    assert (only.train, only.test) == (5, {"cut": 3, "good": 2})


@pytest.mark.parametrize("settings", [{}, {"train_fraction": 0.5}, {"limit_per_class": 4}, {"train_fraction": 1}])
def test_what_is_not_split_is_planned_as_it_is_divided(tmp_path: Path, settings: dict[str, Any]) -> None:
    wanted = DatasetDownload(
        source=f"folder:{made(tmp_path / 'w', ok=11, ng=3)}", hold_out_near_duplicates=False, **settings
    )
    found = plan(wanted)
    (one,) = found.plans
    (entries,) = divide(found.dataset, wanted).categories.values()
    divided = [entry.path.rpartition("/")[0] for entry in entries]
    assert one.unsplit
    assert one.train == divided.count("train/good")
    assert one.test == {kind: n for kind in ("good", "ng") if (n := divided.count(f"test/{kind}"))}


def test_one_category_that_cannot_be_trained_leaves_the_others(tmp_path: Path) -> None:
    root = made(tmp_path, a__test__good=5, b__train__good=2, c__train__good=3)
    found = plan(DatasetDownload(source=f"folder:{root}"))
    found.require_trainable()
    assert [one.category for one in found.trainable] == ["c"]
    assert [str(one.problem) for one in found.plans] == [
        "category 'a' has no train images: expected some in train/good, found test/good",
        "category 'b' has too few good images to train on: expected at least 3, got 2",
        "None",
    ]
    with pytest.raises(VqiError, match=r"category 'a' has no train images: .*; category 'b' has too few"):
        plan(DatasetDownload(source=f"folder:{root}", only_categories=["a", "b"])).require_trainable()
    plan(DatasetDownload(source=f"folder:{root}", only_categories=["a"], with_verdicts=True)).require_trainable()


def test_nothing_that_decodes_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from vqi.config import DatasetDownload; from vqi.datasets.plan import plan\n"
        "plan(DatasetDownload(source=sys.argv[1])).require_trainable(); print(*sys.modules)"
    )
    root = made(tmp_path, w__train__good=3)
    done = subprocess.run([sys.executable, "-c", code, f"folder:{root}"], capture_output=True, text=True, check=True)
    assert not {"numpy", "PIL", "requests", "minio", "torch"} & set(done.stdout.split())
