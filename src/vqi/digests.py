"""Digests of files, bytes and JSON values: sha256 in hex."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20  # bytes read at a time


def sha256_bytes(data: bytes) -> str:
    """The sha256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """The sha256 of a file, read in pieces."""
    with path.open("rb") as source:
        return sha256_stream(source)


def sha256_stream(source: BinaryIO) -> str:
    """The sha256 of what is left in an open file."""
    digest = hashlib.sha256()
    while piece := source.read(CHUNK):
        digest.update(piece)
    return digest.hexdigest()


def digest_json(content: object) -> str:
    """The sha256 of a JSON value in canonical form."""
    return sha256_bytes(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
