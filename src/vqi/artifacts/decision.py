"""The output ``decision`` of ``publish``: which version of a model is the result, and whether it is new."""

from __future__ import annotations

from vqi.records import Record


class Decision(Record):
    """What ``publish`` decided."""

    published: bool  # whether something was written
    model: str  # uri of the version
    version: int
    reason: str
