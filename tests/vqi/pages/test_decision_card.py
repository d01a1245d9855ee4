"""The card with the gate's decision."""

from __future__ import annotations

import re

import pytest

from tests.vqi.made import metrics
from vqi.artifacts.decision import Decision, Verdict
from vqi.artifacts.drift import Drift
from vqi.artifacts.metrics import Usable, scored_of
from vqi.errors import VqiError
from vqi.pages.decision_card import Measured, decision_card, with_decision
from vqi.pages.drift_chart import drift_svg


def decision(verdict: Verdict, champion: int | None = 2) -> Decision:
    return Decision(
        published=True,
        model="file:///store/models/parts/mono/v3",
        version=3,
        verdict=verdict,
        reasons=("against v2", "AUROC <0.9>"),
        champion=champion,
    )


@pytest.mark.parametrize(
    ("verdict", "champion", "said"),
    [
        ("promoted", 3, ["v3 is used", "scores new parts from now on"]),
        ("rejected", 2, ["v3 is not used, v2 is", "stays a version"]),
        (
            "held",
            2,
            ["v3 is not used, v2 is", "A person decides: &#39;vqi models promote /store/models/parts/mono/v3&#39;"],
        ),
        ("held", None, ["v3 is not used, nor is any other version"]),
        ("unchanged", 3, ["v3 is used", "An equal model was made before"]),
    ],
)
def test_what_it_says(verdict: Verdict, champion: int | None, said: list[str]) -> None:
    card = decision_card(decision(verdict, champion))
    assert all(one in card for one in said), card
    assert f'<span class="badge {verdict}">{verdict}</span>' in card
    assert "<li>against v2</li>\n<li>AUROC &lt;0.9&gt;</li>" in card


def test_earlier_versions_are_beside_it() -> None:
    own = metrics(
        image_auroc=0.96, recall=0.8, train_images=1200, test_images=40, scored=scored_of([("a", 0, "x")], [1])
    )
    others = own.model_copy(update={"image_auroc": 0.95, "scored": scored_of([("b", 0, "x")], [1])})
    measured = [Measured(3, "this model", own), Measured(2, "the one before", others)]
    rows = re.findall(r"<tr><th.*</tr>", decision_card(decision("promoted", 3), measured))
    assert [re.sub(r"<[^>]+>", " ", row).split() for row in rows[1:]] == [
        ["v3", "this", "model", "–", "1,200", "0.960", "80.0", "%", "–", "40"],
        ["v2", "the", "one", "before", "–", "1,200", "0.950", "80.0", "%", "–", "40", "other", "ones"],
    ]
    assert "Beside other versions" not in decision_card(decision("promoted", 3), measured[:1])


@pytest.mark.parametrize("usable", ["yes", "with care", "not known", "no", None])
def test_what_the_figures_say_stands_beside_the_decision(usable: Usable | None) -> None:
    own = Measured(3, "this model", metrics(usable=usable))
    card = decision_card(decision("promoted", 3), [own])
    assert ("answered above, by its own figures" in card) == (usable not in ("yes", None))
    assert usable in ("yes", None) or f">{usable}</span>" in card
    first = Measured(2, "the one before", metrics(usable="no"))
    assert ">no</span>" in decision_card(decision("promoted", 3), [own, first]), "each version has its own"


def test_a_report_of_something_else() -> None:
    with pytest.raises(VqiError, match="report: expected one that this version of vqi wrote: run evaluate again"):
        with_decision("<p>", decision("held"))


def drift(p_values: list[float], drifted: bool = False) -> Drift:
    return Drift(version=2, parts=len(p_values), others=100, flagged=1, target=0.05, p_value=0.5, higher=0.5, gap=0.1,
                 drifted=drifted, p_values=tuple(sorted(p_values)))  # fmt: skip


def test_new_good_parts_are_drawn_where_the_champion_was_asked() -> None:
    card = decision_card(decision("promoted", 3))
    assert "<svg" not in card
    found = drift([(k + 1) / 101 for k in range(100)])
    card = decision_card(decision("promoted", 3).model_copy(update={"drift": found}))
    assert card.count("<rect") == 10
    assert "Nothing here says that they do not." in card
    odd = decision("held").model_copy(update={"drift": drift([0.01] * 50, drifted=True)})
    assert "They do not, and that is more than chance." in decision_card(odd)
    assert "Histogram of the p-values of new good parts" in card


def test_the_bars_of_a_histogram_of_p_values() -> None:
    def heights(p_values: list[float]) -> list[float]:
        return [float(one) for one in re.findall(r'<rect [^>]*height="([0-9.]+)"', drift_svg(drift(p_values)))]

    assert len(heights([0.01] * 7)) == 1, "all of them most unusual: one bar, of few parts one of five"
    assert heights([0.2, 0.2, 0.3]) == pytest.approx([130, 65]), "a p-value at an edge is of the bar on its left"
    even = heights([(k + 0.5) / 100 for k in range(100)])
    assert len(even) == 10
    assert even == pytest.approx([130 / 1.6] * 10, abs=0.1)
    assert heights([1.0] * 60) == [130.0]
