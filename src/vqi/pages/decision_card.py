"""The card at the top of a category's report: what the gate decided, and each reason; which run and version it is of.

``evaluate`` writes the report, and ``publish`` decides later. The report in a model's package stays as it was written,
for its digest is part of what the model is; what people look at is a copy with the card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from vqi.artifacts.decision import Decision, Verdict
from vqi.artifacts.metrics import Metrics
from vqi.errors import VqiError
from vqi.formatting import NOTHING, area_with_interval, percent
from vqi.pages.drift_chart import drift_svg
from vqi.pages.of_run import with_run
from vqi.pages.rendering import render

_PLACE = "<!-- the gate's decision -->"  # in the template of the report
_COLUMNS = ("Can it be used?", "Training images", "Image AUROC", "Recall", "False alarms", "Test images")
_MEANINGS: dict[Verdict, str] = {
    "promoted": "It scores new parts from now on.",
    "rejected": "It stays a version that one can look at.",
    "held": "A person decides: 'vqi models promote {model}' makes it the one that is used.",
    "unchanged": "An equal model was made before.",
}


class Measured(NamedTuple):
    """A version, and what was measured of it when it was made."""

    version: int
    role: str  # what it is to the reader
    metrics: Metrics


def with_decision(
    report: str,
    decision: Decision,
    run: str = "",
    when: datetime | None = None,
    versions: Sequence[Measured] = (),
    links: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """A report with the card in its place, and below its title the version, the run and the time.

    Args:
        report: As ``evaluate`` wrote it.
        decision: Of the gate.
        run: Its name; '' for none.
        when: It was decided; None for not known.
        versions: This version and earlier ones, which are shown beside it.
        links: Addresses of other pages, by what they are called.

    Raises:
        VqiError: It is no report, or an earlier vqi wrote it.
    """
    if report.count(_PLACE) != 1:
        raise VqiError("report: expected one that this version of vqi wrote: run evaluate again")
    told = with_run(report, run, when, links, model=_name_of(decision))
    return told.replace(_PLACE, decision_card(decision, versions))


def _name_of(decision: Decision) -> str:
    """Dataset, category and version: the last three parts of its address."""
    return "/".join(decision.model.split("/")[-3:])


def decision_card(decision: Decision, versions: Sequence[Measured] = ()) -> str:
    """The card alone, a part of a page."""
    number, used = decision.version, decision.champion
    others = f"v{used} is" if used else "nor is any other version"
    return render(
        "decision.html.j2",
        verdict=decision.verdict,
        headline=f"v{number} is used" if number == used else f"v{number} is not used, {others}",
        meaning=_MEANINGS[decision.verdict].format(model=decision.model.removeprefix("file://")),
        usable=versions[0].metrics.usable if versions else None,
        reasons=decision.reasons,
        versions=[_row(one, versions[0]) for one in versions] if len(versions) > 1 else [],
        columns=_COLUMNS,
        drift=decision.drift,
        chart=drift_svg(decision.drift) if decision.drift else "",
    )


def _row(one: Measured, own: Measured) -> tuple[str, str, list[str]]:
    """Name, role and cells of a version; ``own``: the version of the report."""
    found = one.metrics
    same = (
        found.scored is not None and own.metrics.scored is not None and found.scored.images == own.metrics.scored.images
    )
    tested = f"{found.test_images:,}{' other ones' if not same and one is not own else ''}"
    return f"v{one.version}", one.role, [
        found.usable or NOTHING,
        f"{found.train_images:,}",
        area_with_interval(found.image_auroc, found.image_auroc_low, found.image_auroc_high),
        percent(found.recall),
        percent(found.false_alarm_rate),
        tested,
    ]  # fmt: skip
