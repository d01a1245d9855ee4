"""The page of all runs, and that of two: whatever names have in them, and where nothing was measured."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.vqi.made import metrics
from vqi.artifacts.metrics import Summary
from vqi.pages.comparison_page import Changed, Compared, Comparison, Side, comparison_page
from vqi.pages.runs_page import CategoryOfRun, RunOnPage, runs_page
from vqi.pages.sparkline import sparkline_svg

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)


def summary(category: str, auroc: float) -> Summary:
    return metrics(category=category, image_auroc=auroc).summary()


def run(auroc: float = 0.9, **changes: Any) -> RunOnPage:
    told: dict[str, Any] = {
        "name": "r", "started": NOW, "seconds": 60.0, "state": "done", "source": "folder:parts", "mean_auroc": auroc,
        "decided": "v1 promoted", "note": "", "tags": (), "folder": "r/",
        "categories": (CategoryOfRun("mono", summary("mono", auroc), "v1 promoted"),),
    }  # fmt: skip
    return RunOnPage(**told | changes)


def test_the_history_of_a_category_is_of_the_runs_that_trained_it() -> None:
    other = (CategoryOfRun("mono", summary("mono", 0.1), "unchanged"),)
    found = runs_page([run(0.95), run(categories=other), run(0.9), run(0.5, source="csv:x")], 0, [], NOW)
    assert re.findall(r'class="value">([^<]+)<', found) == ["0.500", "0.950"]
    assert "2 runs, 0.900 to 0.950" in found
    assert "1 run, 0.500" in found


def test_names_and_notes_are_escaped() -> None:
    odd = "<b>&\"'"
    shown = run(name=odd, note=odd, tags=("x",), source=odd, categories=(CategoryOfRun(odd, None, "failed", (), odd),))
    found = runs_page([shown], 0, [(odd, odd)], NOW)
    assert "<b>" not in found
    assert found.count("&lt;b&gt;") >= 8


def test_where_nothing_is_known() -> None:
    empty = run(started=None, seconds=None, mean_auroc=None, decided="", categories=(), source="", state="killed")
    found = runs_page([empty], 0, [], NOW)
    assert 'badge flagged">killed' in found
    assert "AUROC of each category" not in found
    assert "There are no runs yet" in runs_page([], 0, [], NOW)


def test_the_newest_are_open() -> None:
    assert runs_page([run()] * 5, 0, [], NOW).count(" open>") == 3


@pytest.mark.parametrize("values", [[0.9, 0.9], [0.1, 0.9, 0.5], [0.9] * 30])
def test_a_line_stays_in_its_picture(values: list[float]) -> None:
    found = sparkline_svg("a < b", values)
    assert "a &lt; b" in found
    ys = [float(y) for y in re.findall(r"[\d.]+,([\d.-]+)", found)] + [float(re.findall(r'cy="([\d.-]+)"', found)[0])]
    assert all(4 < y < 32 for y in ys)


def test_many_images_are_folded_and_their_names_escaped() -> None:
    changed = tuple(Changed(f"<i>{place}", place % 2, "bad", 1.0, 2.0, True) for place in range(60))
    side = Side("r", "2026-12-01 10:00", "done", "<i>", ("x",))
    one = Compared("mono", (), 1.5, 1.5, both=60, matched_by="their contents", changed=changed)
    found = comparison_page(Comparison(side, side, (), (one,), ("only",), ()))
    assert "<i>" not in found
    assert "10 more" in found
    assert found.count("defect caught") == found.count("false alarm</span>") == 30
    assert "In A alone: only" in found
    assert "30 right in B alone, 30 right in A alone" in found
