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

from vqi.config import SourceRequest
from vqi.datasets.layout import GOOD, MASK_ENDING, Dataset, Entry, check_categories, is_image_name
from vqi.datasets.objects import fetch_objects, open_versions
from vqi.errors import VqiError, unknown
from vqi.store.opening import read_uri
from vqi.system.cache import cache_folder
from vqi.system.concurrency import at_once
from vqi.system.paths import local_path
from vqi.transfer.fetching import fetch, fetch_all, shown

COLUMNS = ("path", "split", "label", "defect_type", "mask", "category")
# label -> whether the part is good
LABELS = dict.fromkeys(("0", "good", "normal", "ok"), True) | dict.fromkeys(("1", "bad", "anomalous", "ko"), False)
DEFECTIVE = "defective"
WEB = ("http://", "https://")
SPLITS = {"train": "train", "test": "test", "": "all"}


class Row(NamedTuple):
    """A line of the table, understood."""

    line: int
    written: str  # the path as the table has it
    place: str  # of the image, absolute
    split: str  # train, test or all
    defect_type: str
    mask: str  # its place; '' for none
    category: str


def read(argument: str, request: SourceRequest) -> Dataset:
    """The dataset that a table lists.

    Raises:
        VqiError: the table or an image is not there, or a line of it makes no sense; the message has its number.
    """
    if not argument:
        raise VqiError("the source 'csv' needs a table: expected csv:<http(s)://, s3:// or path of a .csv file>")
    base = (shown(argument) if argument.startswith(WEB) else argument).rpartition("/")[0]
    name = file_name(argument).rpartition(".")[0] or "table"
    rows = read_table(_reader(argument)(), argument, base or ("/" if argument.startswith("/") else "."), name)
    known = sorted({row.category for row in rows})
    check_categories(request.only_categories, known)
    rows = [row for row in rows if not request.only_categories or row.category in request.only_categories]
    readers = _readers(rows)
    names = unique_names(rows)
    entries: dict[str, list[Entry]] = defaultdict(list)
    for row in rows:
        image = names[row.line]
        entries[row.category].append(Entry(f"{row.split}/{row.defect_type}/{image}", readers[row.place]))
        if row.mask:
            mask = f"{_stem(image)}{MASK_ENDING}.{file_name(row.mask).rpartition('.')[2]}"
            entries[row.category].append(Entry(f"ground_truth/{row.defect_type}/{mask}", readers[row.mask]))
    return Dataset(name, None, {category: tuple(entries[category]) for category in sorted(entries)})


def read_table(data: bytes, table: str, base: str, name: str) -> list[Row]:
    """The lines of a table.

    Raises:
        VqiError: a column is missing or unknown, a value is not one of those known, or an image is listed twice.
    """
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")), strict=True)
        lines = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise VqiError(f"{table} is not a CSV table in UTF-8: {error}") from error
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
        raise VqiError(f"{table}: {twice[0][1]} is listed twice")
    return rows


def unique_names(rows: list[Row]) -> dict[int, str]:
    """A file name for each line: its own, or its whole path where another image of the category has the same.

    The path is taken as written, so that a table and its images are the same dataset wherever they are.
    """
    own = {row.line: file_name(row.place) for row in rows}
    stems = Counter((row.category, _stem(own[row.line])) for row in rows)
    names = {
        row.line: own[row.line]
        if stems[row.category, _stem(own[row.line])] == 1
        else re.sub(r"[/\\:]+", "_", _bare(row.written)).lstrip("._")
        for row in rows
    }
    if len({(row.category, _stem(names[row.line])) for row in rows}) < len(rows):
        raise VqiError("two images of the table would have the same name: rename one of them")
    return names


def _bare(place: str) -> str:
    """A place without its scheme and signature."""
    return (shown(place) if place.startswith(WEB) else place).rpartition("://")[2]


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _row(line: Mapping[str | None, str | None], number: int, table: str, base: str, name: str) -> Row:
    def problem(text: str) -> VqiError:
        return VqiError(f"{table}, line {number}: {text}")

    value = {column: (line.get(column) or "").strip() for column in COLUMNS}
    if None in line or not is_image_name(file_name(value["path"])):
        raise problem(f"expected the path of an image and one value per column, got path '{value['path']}'")
    if value["mask"] and not is_image_name(file_name(value["mask"])):
        raise problem(f"expected an image as mask, got '{value['mask']}'")
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
    try:
        mask = _absolute(value["mask"], base) if value["mask"] else ""
        place = _absolute(value["path"], base)
    except ValueError as error:
        raise problem(str(error)) from error
    return Row(number, value["path"], place, split, defect_type, mask, value["category"] or name)


def file_name(place: str) -> str:
    """The last part of a path or address, without the signature that may follow it."""
    return (shown(place) if place.startswith(WEB) else place).rpartition("/")[2]


def _absolute(place: str, base: str) -> str:
    """A place in the table, relative to the table's own.

    Raises:
        ValueError: a table from elsewhere names a file of this machine.
    """
    local = place.startswith(("/", "~", "file://"))
    if local and "://" in base and not base.startswith("file://"):
        raise ValueError(f"a table from elsewhere may not name files of this machine, got '{place}'")
    return place if "://" in place or local else f"{base.rstrip('/')}/{place}"


def _readers(rows: list[Row]) -> dict[str, Callable[[], bytes]]:
    """What reads each image and mask. Those of servers and buckets are fetched now, several at a time."""
    places = sorted({place for row in rows for place in (row.place, row.mask) if place})
    web = [place for place in places if place.startswith(WEB)]
    files = dict(zip(web, fetch_all(web, cache_folder(), "fetch images"), strict=True)) if web else {}
    buckets: dict[str, list[str]] = defaultdict(list)
    for place in places:
        if place.startswith("s3://"):
            bucket, _, key = place.removeprefix("s3://").partition("/")
            buckets[bucket].append(key)
    for bucket, keys in sorted(buckets.items()):
        files |= {f"s3://{bucket}/{key}": path for key, path in _from_bucket(bucket, keys).items()}
    return {place: files[place].read_bytes if place in files else _reader(place) for place in places}


def _from_bucket(bucket: str, keys: list[str]) -> dict[str, Path]:
    """The objects as they are now, in the cache."""
    store = open_versions(f"s3://{bucket}")
    versions = at_once(store.version_of, keys, f"look into {store.uri}")
    return {one.version.key: one.path for one in fetch_objects(store, versions, cache_folder())}


def _reader(place: str) -> Callable[[], bytes]:
    scheme = place.partition("://")[0] if "://" in place else ""
    if scheme in ("http", "https"):
        return lambda: fetch(place, cache_folder()).read_bytes()
    if scheme in ("s3", "file"):
        return partial(read_uri, place)
    if scheme:
        raise VqiError(f"'{place}' cannot be read: expected http(s)://, s3:// or a path")
    return partial(_read_file, local_path(place))


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise VqiError(f"cannot read {path}: {error.strerror}; is the path in the table right?") from error
