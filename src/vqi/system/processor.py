"""How many processor cores and how much memory this process may use: its affinity and the limits of its cgroup,
version 1 or 2."""

from __future__ import annotations

import math
import os
from pathlib import Path

from vqi.errors import VqiError

CGROUP_ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
CPUINFO = Path("/proc/cpuinfo")


def threads() -> int:
    """Threads to compute with: ``$VQI_THREADS``, which a runner of several concurrent steps sets, or what is granted.

    Raises:
        VqiError: The variable holds no whole number.
    """
    asked = os.environ.get("VQI_THREADS", "")
    if not asked:
        return granted_cpus()
    if not asked.isdecimal() or int(asked) < 1:
        raise VqiError(f"VQI_THREADS: expected a whole number of at least 1, got '{asked}'")
    return int(asked)


def processor_flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """What the processor can do, as Linux names it (``avx512_bf16``, ``amx_bf16``, ...), and its maker
    (``GenuineIntel``); empty where not known."""
    if not cpuinfo.exists():
        return frozenset()
    found: dict[str, str] = {}
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value)
    return frozenset(f"{found.get('vendor_id', '')} {found.get('flags', '')}".split())


def granted_cpus(root: Path = CGROUP_ROOT, membership: Path = MEMBERSHIP) -> int:
    """Whole cores granted, rounded up; at least 1."""
    affinity = len(os.sched_getaffinity(0))
    quota = cgroup_quota(root, membership)
    return max(1, affinity if quota is None else min(affinity, math.ceil(quota)))


def cgroup_quota(root: Path = CGROUP_ROOT, membership: Path = MEMBERSHIP) -> float | None:
    """The tightest CPU quota, in cores, of this process's cgroup and of those around it; None where there is none."""
    quotas = [_quota(folder) for folder in _cgroups("cpu", root, membership)]
    return min((quota for quota in quotas if quota is not None), default=None)


def granted_memory(root: Path = CGROUP_ROOT, membership: Path = MEMBERSHIP) -> int:
    """Bytes of memory that this process may use together with the others of its cgroup, at most the machine's."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [_memory_limit(folder) for folder in _cgroups("memory", root, membership)]
    return min([machine, *(limit for limit in limits if limit is not None)])


def _cgroups(controller: str, root: Path, membership: Path) -> list[Path]:
    """The folders of this process's cgroups and of all around them, up to ``root``, which is its own in a container."""
    folders = {root, root / controller}
    lines = membership.read_text(encoding="utf-8").splitlines() if membership.is_file() else []
    for line in lines:  # "<number>:<controllers>:<path>"; version 2 names no controller
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controller if controllers else root
        inside = Path(path.lstrip("/"))
        if ".." not in inside.parts:  # a group outside of what this process sees
            folders |= {top / part for part in (inside, *inside.parents)}
    return sorted(folders)


def _quota(folder: Path) -> float | None:
    """The CPU quota of one cgroup, in cores."""
    whole = folder / "cpu.max"  # version 2: "<quota> <period>", quota may be "max"
    if whole.is_file():
        quota, _, period = whole.read_text(encoding="ascii").strip().partition(" ")
        return None if quota == "max" else int(quota) / int(period)
    quota_file, period_file = folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"
    if quota_file.is_file() and period_file.is_file():
        limit, span = int(quota_file.read_text(encoding="ascii")), int(period_file.read_text(encoding="ascii"))
        return None if limit < 0 else limit / span
    return None


def _memory_limit(folder: Path) -> int | None:
    """The memory limit of one cgroup, in bytes: memory.max in version 2 (may be "max"), limit_in_bytes in version 1."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        if (folder / name).is_file():
            limit = (folder / name).read_text(encoding="ascii").strip()
            return None if limit == "max" else int(limit)
    return None
