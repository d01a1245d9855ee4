"""The card at the top of a category's report: what the gate decided, and each reason.

``evaluate`` writes the report, and ``publish`` decides later. The report in a model's package stays as it was written,
for its digest is part of what the model is; what people look at is a copy with the card.
"""

from __future__ import annotations

from vqi.artifacts.decision import Decision, Verdict
from vqi.errors import VqiError
from vqi.pages.drift_chart import drift_svg
from vqi.pages.rendering import render

_PLACE = "<!-- the gate's decision -->"  # in the template of the report
_MEANINGS: dict[Verdict, str] = {
    "promoted": "It scores new parts from now on.",
    "rejected": "It stays a version that one can look at.",
    "held": "A person decides: 'vqi models promote {model}' makes it the one that is used.",
    "unchanged": "An equal model was made before.",
}


def with_decision(report: str, decision: Decision) -> str:
    """A report with the card in its place.

    Raises:
        VqiError: It is no report, or an earlier vqi wrote it.
    """
    if _PLACE not in report:
        raise VqiError("report: expected one that this version of vqi wrote: run evaluate again")
    return report.replace(_PLACE, decision_card(decision), 1)


def decision_card(decision: Decision) -> str:
    """The card alone, a part of a page."""
    number, used = decision.version, decision.champion
    others = f"v{used} is" if used else "nor is any other version"
    return render(
        "decision.html.j2",
        verdict=decision.verdict,
        headline=f"v{number} is used" if number == used else f"v{number} is not used, {others}",
        meaning=_MEANINGS[decision.verdict].format(model=decision.model.removeprefix("file://")),
        reasons=decision.reasons,
        drift=decision.drift,
        chart=drift_svg(decision.drift) if decision.drift else "",
    )
