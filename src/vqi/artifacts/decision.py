"""The output ``decision`` of ``publish``: which version of a model is the result, and whether it is used now."""

from __future__ import annotations

from typing import Literal

from vqi.artifacts.drift import Drift
from vqi.records import Record

# promoted: it is the champion now; rejected: the champion is better; held: a person decides; unchanged: it is the
# champion already
Verdict = Literal["promoted", "rejected", "held", "unchanged"]


class GateVerdict(Record):
    """What the gate said of a version: its ``verdict.json``."""

    format: Literal["vqi.verdict/1"] = "vqi.verdict/1"
    verdict: Verdict
    reasons: tuple[str, ...]  # what decided comes first


class Decision(Record):
    """What ``publish`` decided."""

    published: bool  # whether a version was written; an equal package is one already
    model: str  # uri of the version
    version: int
    verdict: Verdict
    reasons: tuple[str, ...]
    champion: int | None  # the version that is used now; None where nothing was promoted yet
    drift: Drift | None = None  # of new good parts, under the champion that it was compared with

    @property
    def text(self) -> str:
        """For people: ``v3 was rejected, v2 is used: against v2; ...``."""
        used = f"v{self.champion} is used" if self.champion else "none is used"
        said = {"unchanged": "is there already"}.get(self.verdict, f"was {self.verdict}")
        also = "" if self.champion == self.version else f", {used}"
        return f"v{self.version} {said}{also}: {'; '.join(self.reasons)}"

    @property
    def figures(self) -> dict[str, int | str]:
        """For a table of metrics, numbers first: a page may show those alone."""
        return {
            "promoted": int(self.verdict == "promoted"),
            "version": self.version,
            "champion": self.champion or 0,
            "verdict": self.verdict,
            **{f"reason_{place:02}": reason for place, reason in enumerate(self.reasons, 1)},
        }
