"""Files written whole or not at all; JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vqi.errors import VqiError

Json = dict[str, Any]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that becomes ``path`` when the block ends without an error."""
    temporary = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, content: object) -> None:
    """Write JSON with sorted keys, whole or not at all; NaN and infinity are refused."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def read_text(path: Path, again: str) -> str:
    """Read a text file.

    Raises:
        VqiError: It is missing, or no UTF-8; ``again`` says what to do.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VqiError(f"{path}: expected a text file, got: {error}; {again}") from error


def read_json(path: Path) -> Json:
    """Read a JSON object.

    Raises:
        VqiError: The file is missing or holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VqiError(f"{path}: expected a JSON file, got: {error}; run the step that writes it again") from error
    if not isinstance(content, dict):
        raise VqiError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content
