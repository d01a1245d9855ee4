"""Whether new good parts are, under a model, as good ones should be; ``vqi.models.drift`` finds it out."""

from __future__ import annotations

from pydantic import Field

from vqi.artifacts.metrics import Count, Share
from vqi.formatting import count, percent, short_percent
from vqi.records import Record


class Drift(Record):
    """What a model says of good parts that it has not seen before."""

    version: int = Field(ge=0)  # of the model
    parts: int = Field(ge=1)  # new ones
    others: int = Field(ge=1)  # those that set the model's threshold
    flagged: Count  # of the new ones
    target: Share  # the share that the user asked for
    p_value: Share  # of both tests together
    higher: Share  # the share of pairs in which a new part scores higher than one of the others
    gap: Share  # the largest share of new parts that are further out than good ones should be
    drifted: bool  # whether that is certain, and worth saying
    p_values: tuple[Share, ...]  # conformal ones of the new parts, in ascending order

    @property
    def text(self) -> str:
        """For people."""
        certain = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.2g}"
        are = "are not" if self.drifted else "are"
        return (
            f"{count(self.parts, 'new good part')} {are} as good ones should be: {self.flagged:,} flagged by "
            f"v{self.version}, {short_percent(self.target)} asked for; they score higher in {percent(self.higher)} of "
            f"pairs ({certain})"
        )
