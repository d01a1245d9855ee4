"""The page of ``vqi compare``: what differs between two runs, their figures, the images that are judged otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vqi.formatting import NOTHING, area, count, figure, percent
from vqi.pages.rendering import render

_SHOWN = 50  # images of a category; the others are folded

Kind = Literal["area", "rate", "number"]


@dataclass(frozen=True)
class Difference:
    """A setting with other values."""

    name: str
    a: str
    b: str


@dataclass(frozen=True)
class Change:
    """B's figure minus A's, on the images that both have."""

    value: float
    low: float | None = None  # of its 95 % interval; None where nothing says how much is chance
    high: float | None = None


@dataclass(frozen=True)
class Figure:
    """A figure of both; None where it was not measured."""

    name: str
    kind: Kind
    a: float | None
    b: float | None
    change: Change | None

    @property
    def texts(self) -> tuple[str, str, str, str, str]:
        """Its name, both values, the change and its interval, for people."""
        told = {"area": area, "rate": percent, "number": figure}[self.kind]
        return self.name, told(self.a), told(self.b), *self._change()

    def _change(self) -> tuple[str, str]:
        if self.change is None:
            return NOTHING, ""
        form = (lambda value: f"{100 * value:+.1f}") if self.kind == "rate" else "{:+.3f}".format
        low, high = self.change.low, self.change.high
        interval = "" if low is None or high is None else f"[{form(low)}, {form(high)}]"
        return f"{form(self.change.value)}{' points' if self.kind == 'rate' else ''}", interval


@dataclass(frozen=True)
class Changed:
    """An image that the runs judge otherwise."""

    path: str  # in B
    label: int  # 0 good, 1 defective
    defect_type: str
    score_a: float
    score_b: float
    flagged: bool  # by B, and not by A; or the other way round

    @property
    def right(self) -> bool:
        """Whether B is right."""
        return self.flagged == bool(self.label)

    @property
    def told(self) -> str:
        """What it means, for people."""
        if self.label:
            return "defect caught" if self.flagged else "defect missed"
        return "false alarm" if self.flagged else "no false alarm any more"


@dataclass(frozen=True)
class Compared:
    """A category in both runs."""

    name: str
    figures: tuple[Figure, ...]
    threshold_a: float
    threshold_b: float
    both: int = 0  # test images that both have
    only_a: int = 0
    only_b: int = 0
    relabelled: int = 0  # test images that both have, with other labels
    matched_by: str = ""
    changed: tuple[Changed, ...] = ()  # what B judges wrongly first
    note: str = ""  # why the images could not be compared

    @property
    def told(self) -> list[str]:
        """How the images of both were matched, for people."""
        if self.note:
            return [self.note]
        wrong = sum(not one.right for one in self.changed)
        verdicts = f"{count(len(self.changed), 'image')} of {self.both:,} with another verdict in B"
        if self.changed:
            verdicts += f": {len(self.changed) - wrong:,} right in B alone, {wrong:,} right in A alone"
        lines = [verdicts, f"test images matched by {self.matched_by}: {self.both:,} in both"]
        others = [(self.only_a, "in A alone"), (self.only_b, "in B alone"), (self.relabelled, "with another label")]
        lines[-1] += "".join(f", {number:,} {what}" for number, what in others if number)
        return lines


@dataclass(frozen=True)
class Side:
    """One of the two runs."""

    name: str
    started: str
    state: str
    note: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Two runs."""

    a: Side
    b: Side
    settings: tuple[Difference, ...]  # those that differ
    categories: tuple[Compared, ...]  # of both
    only_a: tuple[str, ...]  # names of categories
    only_b: tuple[str, ...]


def comparison_page(found: Comparison) -> str:
    """The page, complete in itself."""
    return render(
        "comparison.html.j2",
        sides=[("A", found.a), ("B", found.b)],
        settings=found.settings,
        categories=[_category(number, one) for number, one in enumerate(found.categories, 1)],
        alone=[(name, ", ".join(names)) for name, names in (("A", found.only_a), ("B", found.only_b)) if names],
    )


def _category(number: int, one: Compared) -> dict[str, Any]:
    rows = [_row(image, one) for image in one.changed]
    return {
        "id": f"category-{number}",
        "name": one.name,
        "figures": [figure.texts for figure in one.figures],
        "told": one.told,
        "shown": rows[:_SHOWN],
        "more": rows[_SHOWN:],
    }


def _row(image: Changed, of: Compared) -> dict[str, Any]:
    return {
        "path": image.path,
        "label": image.defect_type,
        "told": image.told,
        "look": "passed" if image.right else "flagged",
        "cells": cells_of(image, of),
    }


def cells_of(image: Changed, of: Compared) -> tuple[str, str]:
    """Score and threshold in A, and in B, for people."""
    return f"{image.score_a:.5g} / {of.threshold_a:.5g}", f"{image.score_b:.5g} / {of.threshold_b:.5g}"
