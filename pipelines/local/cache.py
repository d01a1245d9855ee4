"""What a step's result depends on, and where an earlier equal result is stored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vqi.artifacts.files import write_json
from vqi.digests import digest_json, sha256_file
from vqi_pipelines.sources import digest_of, modules_of


@dataclass(frozen=True)
class Entry:
    """A result: output parameters, and for each artifact where it is and its digest."""

    folder: str  # of the task, relative to the runs folder
    parameters: dict[str, Any]
    artifacts: dict[str, dict[str, Any]]  # name -> location (file name or uri), digest, files (of a folder)


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


def load_entry(folder: Path, key: str) -> Entry | None:
    """The entry of a key; None if it is missing or incomplete."""
    path = folder / f"{key}.json"
    if not path.is_file():
        return None
    try:
        return Entry(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):  # of another version; the step runs again and replaces it
        return None


def save_entry(folder: Path, key: str, entry: Entry) -> None:
    """Write an entry, complete or not at all."""
    write_json(folder / f"{key}.json", entry.__dict__)
