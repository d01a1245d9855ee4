"""Where a step may write: where nothing is, or over what the same step wrote there before.

What a step wrote is recorded next to it, in the folder ``.vqi-written``: its files, their sizes and times of change. A
file that was changed or added since then is the user's, and nothing is written.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import permutations
from pathlib import Path

from pydantic import ValidationError

from vqi.config import StepConfig
from vqi.errors import VqiError
from vqi.records import Record
from vqi.system.atomic import write_text
from vqi_components.flags import flag_of

WRITTEN = ".vqi-written"
_OUTPUT = "output: "  # begins the description of each output's field


class _Note(Record):
    """What a step wrote at one path."""

    step: str
    output: str
    files: dict[str, tuple[int, int]] | None  # path below it -> bytes, time in ns; None while the step writes


def outputs_of(arguments: StepConfig) -> dict[str, Path]:
    """The paths that a step writes, by field."""
    fields = type(arguments).model_fields.items()
    return {name: getattr(arguments, name) for name, info in fields if (info.description or "").startswith(_OUTPUT)}


@contextmanager
def claimed(step: str, outputs: Mapping[str, Path]) -> Iterator[None]:
    """Let a step write its outputs, and record what it wrote, also when it fails.

    Raises:
        VqiError: Something is there that the step did not write: nothing is touched.
    """
    for (one, path), (other, around) in permutations(((n, p.absolute()) for n, p in outputs.items()), 2):
        if path == around or around in path.parents:
            raise VqiError(f"{flag_of(one)} {path} is in {flag_of(other)} {around}: name different paths")
    for name, path in outputs.items():
        _check(step, name, path)
    for name, path in outputs.items():
        _write(step, name, path, None)
    try:
        yield
    finally:
        for name, path in outputs.items():
            with suppress(OSError):  # a full disk, say: without a record the next run refuses to replace it
                _write(step, name, path, _files_of(path))


def _check(step: str, name: str, path: Path) -> None:
    try:
        kind = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):  # writing says that a file is where a folder is needed
        return
    place, what_to_do = f"{flag_of(name)} {path}", "name another path, or remove it first"
    if stat.S_ISLNK(kind):
        raise VqiError(f"{place}: a link, and a step does not write through links: name the place that it leads to")
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise VqiError(f"{place}: a device, a pipe or a socket: name a file")
    if stat.S_ISDIR(kind) and not any(path.iterdir()):
        return
    try:
        note = _Note.model_validate_json(_note_of(path).read_bytes())
    except (OSError, ValidationError):
        note = None
    if note is None or (note.step, note.output) != (step, name) or note.files not in (None, _files_of(path)):
        kept = "folder with files" if stat.S_ISDIR(kind) else "file"
        raise VqiError(f"{place}: there is a {kept} that this step did not write, or that was changed: {what_to_do}")


def _files_of(path: Path) -> dict[str, tuple[int, int]]:
    """The files at a path; none where nothing is."""
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    states = {str(one.relative_to(path)): one.lstat() for one in found if os.path.lexists(one)}
    return {
        name: (state.st_size, state.st_mtime_ns) for name, state in states.items() if not stat.S_ISDIR(state.st_mode)
    }


def _write(step: str, name: str, path: Path, files: dict[str, tuple[int, int]] | None) -> None:
    """Keep the record of an output; none where nothing was written."""
    note = _note_of(path)
    if files == {} and not path.exists():
        note.unlink(missing_ok=True)
        with suppress(OSError):  # others are in it
            note.parent.rmdir()
        return
    write_text(note, _Note(step=step, output=name, files=files).model_dump_json())


def _note_of(path: Path) -> Path:
    return path.absolute().parent / WRITTEN / f"{path.name}.json"
