"""A photograph's row: what ``vqi predict`` writes, and what sinks are sent."""

from __future__ import annotations

from vqi.models.reading import Failure
from vqi.models.result import Result

COLUMNS = ("path", "score", "threshold", "decision", "p_value", "boxes", "map", "error")

Row = dict[str, object]


def row_of(one: Result | Failure, picture: str | None = None) -> Row:
    """The row of a photograph, by `COLUMNS`; None where there is nothing, as ``error`` of one that has a score.

    Args:
        one: What became of it.
        picture: The file that shows what was found on it.
    """
    if isinstance(one, Failure):
        return {**dict.fromkeys(COLUMNS), "path": one.name, "error": str(one.error)}
    return {
        "path": one.name or None,
        "score": one.score,
        "threshold": one.threshold,
        "decision": int(one.flagged),
        "p_value": one.p_value,
        "boxes": [list(box) for box in one.boxes],
        "map": picture,
        "error": None,
    }
