"""The page of a dataset's models: what is on it, whatever names have in them, however many there are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.vqi.made import metrics
from vqi.artifacts.metrics import Scored
from vqi.pages.history_chart import State
from vqi.pages.models_page import CategoryModels, Move, Version, models_page

NOW = datetime(2026, 11, 30, 16, tzinfo=UTC)


def version(number: int, state: State = "none", images: str = "a", **more: Any) -> Version:
    found = metrics(
        category="x", image_auroc=0.9, image_auroc_low=0.8, image_auroc_high=0.95, false_alarm_rate=0.01 * number,
        recall=0.7, target_fpr=0.05, scored=Scored(images=images * 64, labels="01", scores=(0.1, 0.2)),
    )  # fmt: skip
    at = NOW - timedelta(days=100 - number)
    told = {"number": number, "published": at, "state": state, "metrics": found, "verdict": "", "reasons": ()}
    return Version(**told | more)


def page(*versions: Version, name: str = "mono", moves: tuple[Move, ...] = (), links: bool = True) -> str:
    return models_page("parts", [CategoryModels(name, name, versions, moves)], NOW, links=links)


def test_the_champion_and_why_the_gate_said_no() -> None:
    moves = (Move(NOW, 1, "the gate", "the first one"), Move(NOW, 2, "anna", "sharper <lens>"))
    found = page(
        version(1, "before"),
        version(2, "champion"),
        version(3, "rejected", verdict="rejected", reasons=("against v2", "AUROC is lower & worse")),
        moves=moves,
    )
    assert "v2 is the champion" in found
    assert "since 2026-11-30 16:00 UTC, by anna" in found
    assert "rejected: against v2; AUROC is lower &amp; worse" in found
    assert "sharper &lt;lens&gt;" in found
    assert re.findall(r'badge (\w+)">([^<]+)<', found) == [
        ("rejected", "rejected"), ("champion", "champion"), ("before", "was champion"),
    ]  # fmt: skip
    assert re.findall(r'href="([^"]+)"', found) == [f"mono/v{number}/report.html" for number in (3, 2, 1)]
    assert "href" not in page(version(1), links=False)


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_however_many_there_are(count: int) -> None:
    versions = [
        version(number, "held", "a" if number < 30 else "b", verdict="held", reasons=("why",))
        for number in range(1, count + 1)
    ]
    found = page(*versions)
    assert len(re.findall(r'<th scope="row"><a href="mono/v', found)) == count
    assert found.count("<circle") == 3 * count
    assert found.count("<details>") == (2 if count > 10 else 0)
    assert ("from here on" in found) == (count > 30)
    assert not re.search(r"<script|https?://(?!www\.w3\.org)|src=|@import|url\(", found)
    assert "There is no champion yet." in found


def test_names_and_problems_of_any_kind() -> None:
    one = version(1, problem="</p><b>gone", metrics=None)
    category = CategoryModels('<i>"%2F', "x", (one,), (), problem="champion.json is <damaged>")
    found = models_page("parts", [category], NOW, links=True)
    assert "<i>&#34;" not in found
    assert "&lt;i&gt;&#34;%2F" in found
    assert "champion.json is &lt;damaged&gt;" in found
    assert "&lt;/p&gt;&lt;b&gt;gone" in found
    assert "cannot be used" in found


def test_figures_that_are_not_known() -> None:
    unknown = metrics(category="x", image_auroc=None, false_alarm_rate=None, recall=None, target_fpr=0.05, scored=None)
    found = page(version(1, "champion", metrics=unknown), version(2), moves=(Move(NOW, 1, "me", ""),))
    assert found.count("<circle") == 3
    assert '<dd class="value">–</dd>' in found
