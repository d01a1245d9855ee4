"""The result table over categories, as CSV (for programs), Markdown and HTML (for people)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vqi.errors import VqiError
from vqi.formatting import area, area_with_interval, percent, short_percent
from vqi.pages.rendering import render

COLUMNS = (
    "category",
    "test_images",
    "image_auroc",
    "image_auroc_low",
    "image_auroc_high",
    "pixel_auroc",
    "aupro",
    "threshold",
    "target_fpr",
    "accuracy",
    "f1",
    "false_alarm_rate",
    "recall",
    "oracle_accuracy",
)
HEADER = (
    "Category",
    "Test images",
    "Image AUROC",
    "Accuracy at threshold",
    "False alarms",
    "Recall",
    "Best possible accuracy (uses test labels)",
)

Row = Mapping[str, Any]


def to_csv(rows: Sequence[Row]) -> str:
    """The rows with all `COLUMNS` in full precision; an undefined figure is empty.

    Raises:
        VqiError: A row has no value for a column.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_field(row[name]) for name in COLUMNS] for row in _checked(rows))
    return file.getvalue()


def to_markdown(rows: Sequence[Row]) -> str:
    """The columns of `HEADER`, rates in percent; a row of means where there is more than one category.

    Raises:
        VqiError: A row has no value for a column.
    """
    body = [_cells(row) for row in _checked(rows)]
    body += [["**Mean**", *cells[1:]] for cells in _mean_cells(rows)]
    aligned = ["---", *["---:"] * (len(HEADER) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [HEADER, aligned, *body])


def to_html(rows: Sequence[Row]) -> str:
    """One self-contained page, without JavaScript, that looks like the reports.

    Raises:
        VqiError: A row has no value for a column.
    """
    body = [[str(row["category"]), *_cells(row)[1:], *_pixel_cells(row)] for row in _checked(rows)]
    mean = [[*cells, *pixels] for cells, pixels in zip(_mean_cells(rows), _mean_pixel_cells(rows), strict=True)]
    pixels = any(row[name] is not None for row in rows for name in ("pixel_auroc", "aupro"))
    return render(
        "table.html.j2",
        header=[*HEADER, "Pixel AUROC", "AUPRO"] if pixels else HEADER,
        body=body if pixels else [cells[: len(HEADER)] for cells in body],
        mean=mean if pixels else [cells[: len(HEADER)] for cells in mean],
        targets=sorted({short_percent(row["target_fpr"]) for row in rows if row["target_fpr"] is not None}),
        pixels=pixels,
    )


def _checked(rows: Sequence[Row]) -> Sequence[Row]:
    for row in rows:
        missing = [name for name in COLUMNS if name not in row]
        if missing:
            raise VqiError(
                f"table: the summary of category '{row.get('category', '?')}' has no {', '.join(missing)}: "
                "run evaluate again"
            )
    return rows


def _field(value: Any) -> str:
    if value is None:
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value)


def _cells(row: Row) -> list[str]:
    return [
        _escaped(str(row["category"])),
        f"{row['test_images']}",
        area_with_interval(row["image_auroc"], row["image_auroc_low"], row["image_auroc_high"]),
        *_rates(row),
    ]


def _rates(row: Row) -> list[str]:
    return [percent(row[name]) for name in ("accuracy", "false_alarm_rate", "recall", "oracle_accuracy")]


def _pixel_cells(row: Row) -> list[str]:
    return [area(row["pixel_auroc"]), area(row["aupro"])]


def _mean_row(rows: Sequence[Row]) -> dict[str, float | None]:
    """The mean of each figure over the categories that have it; None where none has."""
    names = ("image_auroc", "pixel_auroc", "aupro", "accuracy", "false_alarm_rate", "recall", "oracle_accuracy")
    known = {name: [row[name] for row in rows if row[name] is not None] for name in names}
    return {name: sum(values) / len(values) if values else None for name, values in known.items()}


def _mean_cells(rows: Sequence[Row]) -> list[list[str]]:
    """The row of means, or none with fewer than two categories."""
    if len(rows) < 2:
        return []
    mean = _mean_row(rows)
    return [["Mean", "", area(mean["image_auroc"]), *_rates(mean)]]


def _mean_pixel_cells(rows: Sequence[Row]) -> list[list[str]]:
    return [_pixel_cells(_mean_row(rows))] if len(rows) > 1 else []


def _escaped(text: str) -> str:
    """Text for a Markdown cell: on one line, without markup and cell borders."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_{}\[\]|])", r"\\\1", flat)
