"""``run.json`` of a run, and ``note.json``, what a person says of it.

They are two files because the run writes its own until it ends, and a person may write a note at any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from vqi.artifacts.files import read_text, write_json
from vqi.errors import VqiError
from vqi.records import Record, parse_json
from vqi.redaction import redacted
from vqi_pipelines.local.private import PRIVATE

RUN_FILE, NOTE_FILE = "run.json", "note.json"
_TAG = r"\w[\w.\-]{0,49}"
_LONGEST_NOTE = 2000  # characters
_AGAIN = "it is damaged, or another version of vqi wrote it, which can read it"


class TaskTime(Record):
    """A step of a run."""

    state: str
    seconds: float


class RunRecord(Record):
    """A run, as it began or ended."""

    run_id: str
    uid: str
    pipeline: str
    state: str
    started_at: str = ""  # UTC, ISO 8601; '' in what an earlier vqi wrote
    parameters: dict[str, Any]  # without secrets
    seconds: float  # 0 until it ended
    tasks: dict[str, TaskTime]  # by label


class Note(Record):
    """What a person says of a run."""

    text: Annotated[str, Field(max_length=_LONGEST_NOTE)] = ""
    tags: tuple[Annotated[str, Field(pattern=f"^{_TAG}$")], ...] = ()  # sorted


def note_of(text: str, tags: Iterable[str]) -> Note:
    """A note as a person gives it: made one line, without the logins of addresses.

    Raises:
        VqiError: It is too long, or a tag is none.
    """
    line = redacted(" ".join(text.split()))
    if len(line) > _LONGEST_NOTE:
        raise VqiError(f"the note: expected at most {_LONGEST_NOTE:,} characters, got {len(line):,}")
    for tag in tags:
        if not re.fullmatch(_TAG, tag):
            raise VqiError(f"tag {tag!r}: expected up to 50 letters, digits, '.', '_' and '-', such as keep or lens-2")
    return Note(text=line, tags=tuple(sorted({*tags})))


def read_run(folder: Path) -> RunRecord:
    """Read ``run.json`` in a run's folder.

    Raises:
        VqiError: It is missing, or is not what a run writes.
    """
    path = folder / RUN_FILE
    return parse_json(RunRecord, read_text(path, _AGAIN), str(path), _AGAIN)


def read_note(folder: Path) -> Note:
    """Read ``note.json`` in a run's folder; an empty note where there is none.

    Raises:
        VqiError: It is not what ``write_note`` writes.
    """
    path = folder / NOTE_FILE
    if not path.exists():
        return Note()
    again = "remove it, and give the note again ('vqi runs note')"
    return parse_json(Note, read_text(path, again), str(path), again)


def write_note(folder: Path, note: Note) -> None:
    """Write ``note.json`` in a run's folder; an empty note is none."""
    if note == Note():
        (folder / NOTE_FILE).unlink(missing_ok=True)
    else:
        write_json(folder / NOTE_FILE, note.model_dump(mode="json"), PRIVATE)
