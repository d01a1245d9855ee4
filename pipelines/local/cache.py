"""What a step's result depends on, and where an earlier equal result stands."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vqi.artifacts.files import write_json
from vqi.digests import digest_json, sha256_file

_OWN_PACKAGES = ("vqi", "vqi_components")  # whose code counts; of other packages the version does


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
    """The key of a step's result: what it is told, what it reads, and its code.

    Args:
        name: Of the component.
        command: With the parameters filled in, paths by name.
        image: Of the container.
        parameters: Also those that the command does not show, for ``{{$}}`` tells them all.
        inputs: The digest of each input artifact.
        env: The step's own environment variables.
        place: Where artifacts stand, for an entry points there.
        code: What its launcher takes for its code.
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
def packages_digest() -> str:
    """The digest of all installed packages' versions."""
    return digest_json(sorted({f"{d.name}=={d.version}" for d in importlib.metadata.distributions()}))


@cache
def code_digest(command: tuple[str, ...]) -> str:
    """The digest of the project's own modules that ``python -m <module>`` comes to import; of nothing for others."""
    if len(command) < 3 or command[1] != "-m":
        return ""
    found: dict[str, Path] = {}
    for entry in (command[2], f"{command[2]}.__main__"):
        _collect(entry, found)
    return digest_json([[name, _source_digest(path)] for name, path in sorted(found.items())])


def _source_digest(path: Path) -> str:
    """Of a module's file and of the files beside it that are no modules, as templates."""
    digest = hashlib.sha256(path.read_bytes())
    if path.name == "__init__.py":
        for other in sorted(p for p in path.parent.iterdir() if p.is_file() and p.suffix != ".py"):
            digest.update(other.read_bytes())
    return digest.hexdigest()


def _collect(module: str, found: dict[str, Path]) -> None:
    """Add a module of the project, its packages and what they import, read from their source."""
    if module.split(".")[0] not in _OWN_PACKAGES or module in found:
        return
    parent = module.rpartition(".")[0]
    if parent:
        _collect(parent, found)
    path = _source_of(module)
    if path is None:  # a name inside a module
        return
    found[module] = path
    for name in _imports(ast.parse(path.read_bytes())):
        _collect(name, found)


def _source_of(module: str) -> Path | None:
    """The file of a module of the project, found beside its package without importing anything but that."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    base = Path(spec.origin).parent.joinpath(*rest)
    for candidate in (base / "__init__.py", base.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def load_entry(folder: Path, key: str) -> Entry | None:
    """The entry of a key; None where there is none or it is not whole."""
    path = folder / f"{key}.json"
    if not path.is_file():
        return None
    try:
        return Entry(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):  # of another version; the step runs again and writes it anew
        return None


def save_entry(folder: Path, key: str, entry: Entry) -> None:
    """Write an entry, whole or not at all."""
    write_json(folder / f"{key}.json", entry.__dict__)
