"""How many cases of a fuzz are run: few in the suite, all of them with ``VQI_FUZZ=full``."""

from __future__ import annotations

import os


def fuzz_cases(small: int, full: int) -> int:
    """``small``, or ``full`` where all cases were asked for."""
    return int(full if os.environ.get("VQI_FUZZ") == "full" else small)
