"""The source ``csv:<path or uri>``: a table of images, local, behind http(s):// or in a bucket.

Columns: ``path``; ``label`` (0 or good, 1 or bad) or ``defect_type`` (``good`` for a normal part) or both; and, each
optional, ``split`` (train, test, or empty: divided as asked), ``mask``, ``category`` (the table's name without it).
Paths are relative to the table.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from vqi.datasets.layout import GOOD, MASK_ENDING, Dataset, Entry, is_image_name
from vqi.datasets.objects import at_once
from vqi.datasets.request import Request
from vqi.errors import VqiError, unknown
from vqi.fetching import cache_folder, fetch, shown
from vqi.store import read_uri

COLUMNS = ("path", "split", "label", "defect_type", "mask", "category")
# label -> whether the part is good
LABELS = dict.fromkeys(("0", "good", "normal", "ok"), True) | dict.fromkeys(("1", "bad", "anomalous", "ko"), False)
DEFECTIVE = "defective"
SPLITS = {"train": "train", "test": "test", "": "all"}


class Row(NamedTuple):
    """A line of the table, understood."""

    line: int
    place: str  # of the image, absolute
    split: str  # train, test or all
    defect_type: str
    mask: str  # its place; '' for none
    category: str


def read(argument: str, request: Request) -> Dataset:
    """The dataset that a table lists.

    Raises:
        VqiError: the table or an image is not there, or a line of it makes no sense; the message has its number.
    """
    if not argument:
        raise VqiError("the source 'csv' needs a table: expected csv:<http(s)://, s3:// or path of a .csv file>")
    base, _, file = argument.rpartition("/")
    name = shown(file).rpartition(".")[0] or "table"
    rows = read_table(_reader(argument)(), argument, base or ".", name)
    known = sorted({row.category for row in rows})
    for category in request.categories:
        if category not in known:
            raise unknown("category", category, known)
    rows = [row for row in rows if not request.categories or row.category in request.categories]
    readers = _readers(rows)
    names = unique_names(rows)
    entries: dict[str, list[Entry]] = defaultdict(list)
    for row in rows:
        image = names[row.line]
        entries[row.category].append(Entry(f"{row.split}/{row.defect_type}/{image}", readers[row.place]))
        if row.mask:
            mask = f"{image.rpartition('.')[0]}{MASK_ENDING}.{row.mask.rpartition('.')[2]}"
            entries[row.category].append(Entry(f"ground_truth/{row.defect_type}/{mask}", readers[row.mask]))
    return Dataset(name, None, {category: tuple(entries[category]) for category in sorted(entries)})


def read_table(data: bytes, table: str, base: str, name: str) -> list[Row]:
    """The lines of a table.

    Raises:
        VqiError: a column is missing or unknown, a value is not one of those known, or an image stands there twice.
    """
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")), strict=True)
        lines = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise VqiError(f"{table} is no CSV table in UTF-8: {error}") from error
    for column in reader.fieldnames or []:
        if column not in COLUMNS:
            raise VqiError(f"{table}: {unknown('column', column, COLUMNS)}")
    got = set(reader.fieldnames or [])
    if "path" not in got or not {"label", "defect_type"} & got:
        found = ", ".join(sorted(got)) or "none"
        raise VqiError(f"{table}: expected the columns path and label or defect_type, got {found}")
    rows = [_row(line, number, table, base, name) for number, line in enumerate(lines, start=2)]
    if not rows:
        raise VqiError(f"{table} lists no images")
    twice = [place for place, count in Counter((row.category, row.place) for row in rows).items() if count > 1]
    if twice:
        raise VqiError(f"{table}: {twice[0][1]} stands in it twice")
    return rows


def unique_names(rows: list[Row]) -> dict[int, str]:
    """A file name for each line: its own, or its whole path where another image of the category has the same."""
    own = {row.line: row.place.rpartition("/")[2] for row in rows}
    stems = Counter((row.category, _stem(own[row.line])) for row in rows)
    names = {
        row.line: own[row.line]
        if stems[row.category, _stem(own[row.line])] == 1
        else re.sub(r"[/\\:]+", "_", row.place.partition("://")[2] or row.place).lstrip("._")
        for row in rows
    }
    if len({(row.category, _stem(names[row.line])) for row in rows}) < len(rows):
        raise VqiError("two images of the table would have the same name: rename one of them")
    return names


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _row(line: Mapping[str | None, str | None], number: int, table: str, base: str, name: str) -> Row:
    def problem(text: str) -> VqiError:
        return VqiError(f"{table}, line {number}: {text}")

    value = {column: (line.get(column) or "").strip() for column in COLUMNS}
    if None in line or not is_image_name(value["path"].rpartition("/")[2]):
        raise problem(f"expected the path of an image and one value a column, got path '{value['path']}'")
    if value["split"].lower() not in SPLITS:
        raise problem(f"expected split train, test or nothing, got '{value['split']}'")
    good = LABELS.get(value["label"].lower()) if value["label"] else value["defect_type"] == GOOD
    if good is None or not (value["label"] or value["defect_type"]):
        raise problem(f"expected label 0, 1, good or bad, or a defect_type, got '{value['label']}'")
    defect_type = value["defect_type"] or (GOOD if good else DEFECTIVE)
    if good != (defect_type == GOOD) or "/" in defect_type:
        raise problem(f"label '{value['label']}' and defect_type '{defect_type}' do not fit together")
    split = SPLITS[value["split"].lower()]
    if split == "train" and not good:
        raise problem("a defective image cannot train: expected split test or nothing")
    if "/" in value["category"]:
        raise problem(f"a category has no slash in its name, got '{value['category']}'")
    mask = _absolute(value["mask"], base) if value["mask"] else ""
    return Row(number, _absolute(value["path"], base), split, defect_type, mask, value["category"] or name)


def _absolute(place: str, base: str) -> str:
    return place if "://" in place or place.startswith("/") else f"{base.rstrip('/')}/{place}"


def _readers(rows: list[Row]) -> dict[str, Callable[[], bytes]]:
    """What reads each image and mask; those of http(s) servers are fetched now, several at once."""
    places = sorted({place for row in rows for place in (row.place, row.mask) if place})
    web = [place for place in places if place.startswith(("http://", "https://"))]
    folder = cache_folder()
    files = at_once(lambda place: fetch(place, folder, quiet=True), web, "fetch images") if web else []
    fetched = dict(zip(web, files, strict=True))
    return {place: fetched[place].read_bytes if place in fetched else _reader(place) for place in places}


def _reader(place: str) -> Callable[[], bytes]:
    scheme = place.partition("://")[0] if "://" in place else ""
    if scheme in ("http", "https"):
        return lambda: fetch(place, cache_folder()).read_bytes()
    if scheme in ("s3", "file"):
        return partial(read_uri, place)
    return partial(_read_file, Path(place).expanduser())


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise VqiError(f"cannot read {path}: {error.strerror}; is the path in the table right?") from error
