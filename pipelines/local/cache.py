"""What a step's result depends on, and where an earlier equal result is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from vqi.artifacts.files import write_json
from vqi.digests import digest_json, sha256_file
from vqi.errors import VqiError
from vqi.records import Record, parse_json
from vqi.system.atomic import remove
from vqi.system.os_errors import reason
from vqi_pipelines.sources import digest_of, modules_of

CACHE = ".cache"  # the folder of all entries, in that of the runs


class ArtifactEntry(Record):
    """Where an artifact is."""

    location: str  # a file name, or a uri in an object store
    digest: str
    files: tuple[str, ...] | None = None  # of a folder in an object store


class Entry(Record):
    """A result: output parameters and artifacts."""

    folder: str  # of the task, relative to the runs folder
    parameters: dict[str, Any]
    artifacts: dict[str, ArtifactEntry]


class DamagedEntryError(VqiError):
    """An entry that cannot be used."""


def content_digest(path: Path) -> str:
    """The digest of a file or of a folder (names and contents, in order)."""
    if path.is_file():
        return sha256_file(path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    return digest_json([[str(p.relative_to(path)), sha256_file(p)] for p in files])


def step_key(
    name: str,
    command: Sequence[str],
    image: str,
    *,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, str],
    env: Sequence[tuple[str, str]],
    place: str,
    code: Mapping[str, str],
) -> str:
    """The key of a step's result: its parameters, its inputs, and its code.

    Args:
        name: Name of the component.
        command: Command with the parameters filled in, and names instead of paths.
        image: Image of the container.
        parameters: Also those that are not in the command, because ``{{$}}`` contains all of them.
        inputs: The digest of each input artifact.
        env: The step's own environment variables.
        place: Where artifacts are stored, because an entry points there.
        code: What its launcher uses as its code's identity.
    """
    return digest_json(
        {
            "name": name,
            "command": list(command),
            "image": image,
            "parameters": dict(parameters),
            "inputs": dict(inputs),
            "env": [list(pair) for pair in env],
            "place": place,
            **code,
        }
    )


@cache
def code_digest(command: tuple[str, ...]) -> str:
    """The digest of the project's own modules that ``python -m <module>`` imports; of nothing for other commands."""
    return digest_of(modules_of(entries_of(command)))


def entries_of(command: Sequence[str]) -> list[str]:
    """The modules that ``python -m <module>`` starts with; none for another command."""
    if len(command) < 3 or command[1] != "-m":
        return []
    return [command[2], f"{command[2]}.__main__"]


def load_entry(folder: Path, key: str, parameters: Sequence[str], artifacts: Sequence[str]) -> Entry | None:
    """The entry of a key; None where there is none.

    Args:
        folder: All entries.
        key: From ``step_key``.
        parameters: Names of the step's output parameters.
        artifacts: Names of its output artifacts.

    Raises:
        DamagedEntryError: It is not what ``save_entry`` writes for such a step.
    """
    path = folder / f"{key}.json"
    try:
        entry = parse_json(Entry, path.read_bytes(), str(path), "the step runs again")
    except FileNotFoundError:
        return None
    except (OSError, VqiError) as error:
        raise DamagedEntryError(f"{path}: {reason(error)}") from error
    place = PurePosixPath(entry.folder)
    inside = not place.is_absolute() and ".." not in place.parts
    if not inside or {*entry.parameters} != {*parameters} or {*entry.artifacts} != {*artifacts}:
        raise DamagedEntryError(f"{path}: it is not of this step")
    return entry


def entries_in(folder: Path) -> Iterator[tuple[Path, Entry | None]]:
    """All entries; None for what is none."""
    for path in sorted(folder.glob("*.json")):
        try:
            entry: Entry | None = parse_json(Entry, path.read_bytes(), str(path), "it is removed")
        except VqiError:
            entry = None
        yield path, entry


def save_entry(folder: Path, key: str, entry: Entry) -> None:
    """Write an entry, complete or not at all; what is damaged is replaced."""
    path = folder / f"{key}.json"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.is_file() or path.is_symlink():
        remove(path)
    write_json(path, entry.model_dump(exclude_none=True), mode=0o600)
