"""How many cases a fuzz tries: few in each run of the tests, all of them with ``VQI_FUZZ=full``."""

import os


def fuzz_cases(small: int, full: int) -> int:
    return full if os.environ.get("VQI_FUZZ") == "full" else small
