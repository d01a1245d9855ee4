"""What verdicts say of a version of a model in the field: the records, which ``vqi.models.field`` computes."""

from __future__ import annotations

from pydantic import Field as Limited

from vqi.records import Record
from vqi.verdicts.records import Outcome


class Rate(Record):
    """A share that was seen, with its 95 % interval."""

    hits: int = Limited(ge=0)
    of: int = Limited(ge=1)
    share: float = Limited(ge=0, le=1)
    low: float = Limited(ge=0, le=1)
    high: float = Limited(ge=0, le=1)


class Field(Record):
    """A version of a category's model in the field."""

    dataset: str
    category: str
    version: int
    answered: int  # photographs, by the verdict that counts of each
    outcomes: dict[Outcome, int]
    disagreements: tuple[str, ...]  # names of photographs that one person calls good and another one defective
    false_of_alarms: Rate | None  # None where no alarm was answered
    false_alarm_rate: Rate | None  # of good parts; None where that cannot be told
    promised: float | None  # rate of false alarms; None where the version is gone
    # Nobody keeps how many parts were scored. So many of them have to be good for these false alarms to be no more than
    # what was promised, give or take chance; None where nothing was promised.
    kept_from: int | None

    @property
    def contradicted(self) -> float:
        """The share of clear answers that say that the model was wrong."""
        clear = self.answered - self.outcomes.get("unclear", 0)
        return (self.outcomes.get("false alarm", 0) + self.outcomes.get("missed defect", 0)) / max(1, clear)
