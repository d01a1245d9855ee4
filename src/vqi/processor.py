"""How many processor cores this process may use: its affinity and the CPU quota of its cgroup, version 1 or 2."""

from __future__ import annotations

import math
import os
from pathlib import Path

from vqi.errors import VqiError

CGROUP_ROOT = Path("/sys/fs/cgroup")


def threads() -> int:
    """Threads to compute with: ``$VQI_THREADS``, which a runner of several steps at once sets, or what is granted.

    Raises:
        VqiError: The variable holds no whole number.
    """
    asked = os.environ.get("VQI_THREADS", "")
    if not asked:
        return granted_cpus()
    if not asked.isdecimal() or int(asked) < 1:
        raise VqiError(f"VQI_THREADS: expected a whole number of at least 1, got '{asked}'")
    return int(asked)


def granted_cpus(root: Path = CGROUP_ROOT) -> int:
    """Whole cores granted, rounded up; at least 1."""
    affinity = len(os.sched_getaffinity(0))
    quota = cgroup_quota(root)
    return max(1, affinity if quota is None else min(affinity, math.ceil(quota)))


def cgroup_quota(root: Path = CGROUP_ROOT) -> float | None:
    """The CPU quota in cores; None where there is none."""
    whole = root / "cpu.max"  # version 2: "<quota> <period>", quota may be "max"
    if whole.is_file():
        quota, _, period = whole.read_text(encoding="ascii").strip().partition(" ")
        return None if quota == "max" else int(quota) / int(period)
    quota_file, period_file = root / "cpu" / "cpu.cfs_quota_us", root / "cpu" / "cpu.cfs_period_us"
    if quota_file.is_file() and period_file.is_file():
        limit, span = int(quota_file.read_text(encoding="ascii")), int(period_file.read_text(encoding="ascii"))
        return None if limit < 0 else limit / span
    return None
