"""The result table over categories, as CSV (for programs), Markdown and HTML (for people)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vqi.artifacts.metrics import Summary
from vqi.artifacts.tables import read_table
from vqi.formatting import NOTHING, area, area_with_interval, cell, percent, short_percent, text_of
from vqi.pages import field
from vqi.pages.rendering import render
from vqi.verdicts.field import Field

COLUMNS = tuple(Summary.model_fields)
HEADER = (
    "Category",
    "Can it be used?",
    "Test images",
    "Image AUROC",
    "Accuracy at threshold",
    "False alarms",
    "Recall",
    "Best possible accuracy (uses test labels)",
)

_NEWEST = (
    "Of each category the newest version that has verdicts, that first which operators contradict most: such "
    "categories come first in the table above, too."
)
_FAILED = ("failed", *[""] * (len(HEADER) - 2))  # the cells of a category without figures
_NONE: Mapping[str, str] = MappingProxyType({})  # category -> why it has no figures
_RATES = ("accuracy", "false_alarm_rate", "recall", "oracle_accuracy")
_AREAS = ("image_auroc", "pixel_auroc", "aupro")


def to_csv(rows: Sequence[Summary], failed: Mapping[str, str] = _NONE) -> str:
    """The rows with all `COLUMNS` in full precision; an undefined figure is empty, and all of a failed category's."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_field(value) for _, value in row] for row in rows)
    writer.writerows([name, *[""] * (len(COLUMNS) - 1)] for name in failed)
    return file.getvalue()


def read_csv(path: Path) -> list[Summary]:
    """The rows that ``to_csv`` wrote, without those of failed categories.

    Raises:
        VqiError: The file is missing, or is not such a table.
    """
    found = read_table(path, COLUMNS, _summary, "a table of results", "run the pipeline again")
    return [row for row in found if row is not None]


def _summary(texts: dict[str, str]) -> Summary | None:
    if not any(text for name, text in texts.items() if name != "category"):
        return None
    values = {name: text or None for name, text in texts.items()}
    own = {name: text_of(text) for name in ("category", "usable_why") if (text := values[name]) is not None}
    return Summary.model_validate({**values, **own})


def to_markdown(
    rows: Sequence[Summary],
    failed: Mapping[str, str] = _NONE,
    unchanged: Mapping[str, str] = _NONE,
    decisions: Mapping[str, str] = _NONE,
    fields: Sequence[Field] = (),
) -> str:
    """The columns of `HEADER`, rates in percent; a row of means where there is more than one category with figures.

    Below it why each category of ``failed`` has none, why a model cannot simply be used, why each of ``unchanged`` was
    not trained, what the gate said of each new model, what verdicts brought into the data, and, in ``fields``, what
    operators say.
    """
    body = [_cells(row) for row in rows]
    body += [[_escaped(name), *_FAILED] for name in failed]
    body += [["**Mean**", *cells[1:]] for cells in _mean_cells(rows)]
    aligned = ["---", "---", *["---:"] * (len(HEADER) - 2)]
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in [HEADER, aligned, *body])
    reasons = [f"- {_escaped(name)} failed: {_escaped(why)}\n" for name, why in failed.items()]
    reasons += [f"- {_escaped(name)}: {_escaped(said)}\n" for name, said in _doubts(rows).items()]
    reasons += [f"- {_escaped(name)} is unchanged: {_escaped(why)}\n" for name, why in unchanged.items()]
    reasons += [f"- {_escaped(name)}: {_escaped(said)}\n" for name, said in decisions.items()]
    reasons += [f"- {_escaped(name)}: {said}\n" for name, said in _joined(rows).items()]
    for one in fields:
        told = "; ".join(filter(None, [field.answers(one), field.promise(one)]))
        reasons.append(f"- {_escaped(one.category)}: operators on v{one.version}: {told}\n")  # figures alone
    return "".join([table, *(["\n"] if reasons else []), *reasons])


def to_html(
    rows: Sequence[Summary],
    failed: Mapping[str, str] = _NONE,
    unchanged: Mapping[str, str] = _NONE,
    decisions: Mapping[str, str] = _NONE,
    fields: Sequence[Field] = (),
    datasets: Sequence[str] = (),
) -> str:
    """One self-contained page, without JavaScript, that looks like the reports."""
    body = [[row.category, *_cells(row)[1:], area(row.pixel_auroc), area(row.aupro)] for row in rows]
    body += [[name, *_FAILED, "", ""] for name in failed]
    mean = [[*cells, *pixels] for cells, pixels in zip(_mean_cells(rows), _mean_pixel_cells(rows), strict=True)]
    pixels = any(row.pixel_auroc is not None or row.aupro is not None for row in rows)
    return render(
        "table.html.j2",
        header=[*HEADER, "Pixel AUROC", "AUPRO"] if pixels else HEADER,
        body=body if pixels else [cells[: len(HEADER)] for cells in body],
        mean=mean if pixels else [cells[: len(HEADER)] for cells in mean],
        targets=sorted({short_percent(row.target_fpr) for row in rows}),
        pixels=pixels,
        datasets=datasets,
        failed=failed,
        unchanged=unchanged,
        decisions=decisions,
        doubts=_doubts(rows),
        joined=_joined(rows),
        operators=field.section(fields, _NEWEST),
    )


def _doubts(rows: Sequence[Summary]) -> dict[str, str]:
    """By category whether its model can be used and why, where that is not simply yes."""
    return {row.category: f"{row.usable}: {row.usable_why}" for row in rows if row.usable not in (None, "yes")}


def _joined(rows: Sequence[Summary]) -> dict[str, str]:
    """By category what verdicts brought into its data."""
    return {row.category: said for row in rows if (said := row.joined)}


def _field(value: Any) -> str:
    if value is None:
        return ""
    return repr(float(value)) if isinstance(value, float) else cell(str(value))


def _cells(row: Summary) -> list[str]:
    interval = area_with_interval(row.image_auroc, row.image_auroc_low, row.image_auroc_high)
    rates = (percent(getattr(row, name)) for name in _RATES)
    return [_escaped(row.category), row.usable or NOTHING, f"{row.test_images}", interval, *rates]


def means_of(rows: Sequence[Summary]) -> dict[str, float | None]:
    """The mean of each figure over the categories that have it; None where none has."""
    known = {name: [v for row in rows if (v := getattr(row, name)) is not None] for name in (*_RATES, *_AREAS)}
    return {name: sum(values) / len(values) if values else None for name, values in known.items()}


def _mean_cells(rows: Sequence[Summary]) -> list[list[str]]:
    """The row of means, or none with fewer than two categories."""
    if len(rows) < 2:
        return []
    means = means_of(rows)
    return [["Mean", "", "", area(means["image_auroc"]), *(percent(means[name]) for name in _RATES)]]


def _mean_pixel_cells(rows: Sequence[Summary]) -> list[list[str]]:
    """The means of the pixel figures, at the end of the row of means."""
    return [[area(means_of(rows)["pixel_auroc"]), area(means_of(rows)["aupro"])]] if len(rows) > 1 else []


def _escaped(text: str) -> str:
    """Text for a Markdown cell: on one line, without markup and cell borders."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_{}\[\]|])", r"\\\1", flat)
