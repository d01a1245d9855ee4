"""The photographs of a folder, each once, as soon as it is completely written; what was scored is noted in a file.

A photograph is complete when its size and its time have not changed for a while and no program has it open for writing.
The system tells of changes; a search of the whole folder now and then finds what it does not tell, as on a network's
disk.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple

from vqi.datasets.layout import is_image_name
from vqi.errors import VqiError
from vqi.models.inputs import images_below
from vqi.system.atomic import write_text
from vqi_pipelines.commands.rows import write_all

KIND = "vqi.watched/1"
SETTLED = 1.0  # seconds without a change after which a file may be complete
EMPTY = 10.0  # the same for an empty one, which somebody probably made to write to
SEARCH = 30.0  # seconds between searches of the whole folder
TICK = 200  # milliseconds between looks at the files that are not complete yet


class Sight(NamedTuple):
    """What tells the contents that a file had at one time from later ones."""

    size: int  # bytes
    mtime_ns: int


class Seen:
    """Which files of a folder are scored, by path, size and time: one of the same name and other contents is new.

    Args:
        folder: That is watched.
        path: Where this is kept, one JSON line per file; None keeps it in memory only.

    Raises:
        VqiError: The file is another one, or of another folder.
        OSError: It cannot be read or written.
    """

    def __init__(self, folder: Path, path: Path | None) -> None:
        self._folder, self._path = folder, path
        self._known: dict[str, Sight] = {}
        self.scored = 0  # in all, also in earlier runs

    def __enter__(self) -> Seen:
        if self._path is None:
            return self
        if self._path.exists():
            self._read(self._path.read_bytes())
            self.keep_only(name for name in list(self._known) if os.path.lexists(name))
        head = {"format": KIND, "folder": str(self._folder.absolute()), "scored": self.scored - len(self._known)}
        lines = [json.dumps(head), *(_line(name, sight) for name, sight in self._known.items())]
        write_text(self._path, "".join(f"{line}\n" for line in lines))
        self._file = self._path.open("ab", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is not None:
            self._file.close()

    def has(self, path: Path, sight: Sight) -> bool:
        """Whether these contents of a file are scored."""
        return self._known.get(str(path.absolute())) == sight

    def note(self, path: Path, sight: Sight) -> None:
        """Note that they are."""
        name = str(path.absolute())
        self._known[name] = sight
        self.scored += 1
        if self._path is not None:
            write_all(self._file, f"{_line(name, sight)}\n")

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget the files that are gone, so that memory does not grow for ever; ``names``: absolute paths."""
        self._known = {name: self._known[name] for name in names if name in self._known}

    def _read(self, data: bytes) -> None:
        """The notes of an earlier run; half a line at the end, which a crash left, does not count."""
        whole, _, _ = data.rpartition(b"\n")
        place = "line 1"
        try:
            head, *lines = whole.split(b"\n")
            self.scored = _head(json.loads(head), str(self._folder.absolute()))
            for number, line in enumerate(lines, start=2):
                place = f"line {number}"
                entry = json.loads(line)
                self._known[str(entry["path"])] = Sight(int(entry["size"]), int(entry["mtime_ns"]))
                self.scored += 1
        except (ValueError, KeyError, TypeError) as error:
            raise VqiError(
                f"{self._path}: expected the notes of --watch {self._folder}, got: {place}: {error}: name another "
                "file with --state, or delete it to score all files again"
            ) from error


def _head(head: Mapping[str, object], folder: str) -> int:
    """How many files were scored before those of the notes.

    Raises:
        ValueError: The notes are not of this folder.
    """
    if head["format"] != KIND:
        raise ValueError(f"format {head['format']!r}, expected '{KIND}'")
    if head["folder"] != folder:
        raise ValueError(f"folder {head['folder']!r}")
    return int(str(head["scored"]))


def _line(name: str, sight: Sight) -> str:
    return json.dumps({"path": name, **sight._asdict()})


@contextmanager
def until_signalled() -> Iterator[threading.Event]:
    """An event that SIGINT or SIGTERM sets, so that what was begun is ended first; a second signal ends the process."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGIO)}
    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # see _is_being_written
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watched(folder: Path, seen: Seen, stop: threading.Event) -> Iterator[Path]:
    """The photographs of a folder that are not seen yet, and new ones as they come, until ``stop`` is set.

    When the next one is asked for, the one before is noted as seen. To be used within ``until_signalled``.

    Raises:
        VqiError: There is no such folder, or it is gone.
    """
    from watchfiles import watch

    if not folder.is_dir():
        raise VqiError(f"--watch {folder}: expected a folder, got {'a file' if folder.exists() else 'nothing'}")
    waiting: dict[Path, tuple[Sight, float]] = {}  # what it looked like, and since when
    root, search = folder.resolve(), 0.0
    for changes in watch(
        root, watch_filter=None, stop_event=stop, debounce=TICK, rust_timeout=TICK, yield_on_timeout=True,
        raise_interrupt=False,
    ):  # fmt: skip
        now = time.monotonic()
        changed = {folder / Path(name).relative_to(root) for _, name in changes}
        if now >= search:
            search = now + SEARCH
            everything = _all(folder)
            seen.keep_only(str(path.absolute()) for path in everything)
            changed.update(everything)
        _look(folder, changed, waiting, seen, now)
        for path in sorted(path for path, (sight, since) in waiting.items() if _is_settled(sight, now - since)):
            sight, _ = waiting[path]
            if stop.is_set():
                return
            if _is_being_written(path) or _sight(path) != sight:
                continue
            yield path
            seen.note(path, sight)
            del waiting[path]


def _all(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise VqiError(f"--watch {folder}: the folder is gone")
    return images_below(folder)


def _look(
    folder: Path, changed: Iterable[Path], waiting: dict[Path, tuple[Sight, float]], seen: Seen, now: float
) -> None:
    """Note how the files look that changed, and those that are waited for."""
    for path in {*(one for one in changed if _is_photograph(folder, one)), *waiting}:
        sight = _sight(path)
        if sight is None or seen.has(path, sight):
            waiting.pop(path, None)
        elif path not in waiting or waiting[path][0] != sight:
            waiting[path] = sight, now


def _is_photograph(folder: Path, path: Path) -> bool:
    """Whether it is named like an image, and neither hidden nor in a hidden folder."""
    below = path.relative_to(folder).parts
    return is_image_name(path.name) and not any(part.startswith(".") for part in below)


def _is_settled(sight: Sight, seconds: float) -> bool:
    return seconds >= (SETTLED if sight.size else EMPTY)


def _sight(path: Path) -> Sight | None:
    """What a file looks like; None for one that is gone, and for what is no file."""
    with suppress(OSError):
        found = path.stat()
        if stat.S_ISREG(found.st_mode):
            return Sight(found.st_size, found.st_mtime_ns)
    return None


def _is_being_written(path: Path) -> bool:
    """Whether a program has a file open for writing, as far as this one can tell.

    The system grants a read lease only on a file that nobody writes to (fcntl(2)): on files of this user, and not on
    every disk. Whoever opens the file for writing meanwhile waits until the lease is given back, at once; SIGIO, which
    says that, is ignored.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False  # whoever reads it says why
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(file)
    return False
