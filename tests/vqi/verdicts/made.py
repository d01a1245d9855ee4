"""Made-up verdicts and photographs."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

from PIL import Image

from vqi.digests import sha256_bytes
from vqi.verdicts.records import Scored, Verdict, said_of, verdict_of

MORNING = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)


def photograph(value: int = 150, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 10), (value, value, value)).save(file, kind)
    return file.getvalue()


def scored(data: bytes = b"", score: float = 2.0, **changes: Any) -> Scored:
    """A photograph with an alarm, unless its score is 1 or less."""
    one = Scored(sha256_bytes(data or photograph()), "line 4/p17.png", 3, score, 1.0)
    return one._replace(**changes)


def verdict(text: str = "good", by: str = "anna", minutes: int = 0, of: Scored | None = None) -> Verdict:
    return verdict_of(of or scored(), said_of(text), by, MORNING + timedelta(minutes=minutes))
