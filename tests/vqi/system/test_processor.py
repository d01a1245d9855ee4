"""Granted cores and memory over made-up cgroup folders of both versions."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from vqi.errors import VqiError
from vqi.system.processor import cgroup_quota, granted_cpus, granted_memory, threads


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "membership", "expected"),
    [
        ({}, "0::/\n", None),
        ({"cpu.max": "max 100000\n"}, "0::/\n", None),
        ({"cpu.max": "150000 100000\n"}, "0::/\n", 1.5),
        ({"a/b/cpu.max": "50000 100000", "a/cpu.max": "max 100000"}, "0::/a/b\n", 0.5),
        ({"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, "0::/a/b\n", 2.0),  # that of a group around it
        ({"a/b/cpu.max": "300000 100000", "a/cpu.max": "100000 100000"}, "0::/a/b\n", 1.0),  # the tightest
        ({"other/cpu.max": "50000 100000"}, "0::/a\n", None),
        ({"../cpu.max": "50000 100000"}, "0::/..\n", None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, "3:cpu,cpuacct:/\n", None),
        ({"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, "3:cpu,cpuacct:/\n", 2.5),
        ({"cpu/d/x/cpu.cfs_quota_us": "50000", "cpu/d/x/cpu.cfs_period_us": "100000"}, "3:cpu:/d/x\n4:io:/q\n", 0.5),
        ({"cpu.max": "100000 100000"}, "0::/docker/a:b\n", 1.0),  # a path that this process does not see
    ],
)  # fmt: skip
def test_quota(tmp_path: Path, files: Mapping[str, str], membership: str, expected: float | None) -> None:
    root = write(tmp_path / "cgroup", files)
    (tmp_path / "membership").write_text(membership)
    assert cgroup_quota(root, tmp_path / "membership") == expected


@pytest.mark.parametrize(
    ("quota", "affinity", "expected"),
    [("10000", 8, 1), ("150000", 8, 2), ("400000", 8, 4), ("900000", 8, 8), ("max", 3, 3), ("400000", 2, 2)],
)
def test_rounded_up_and_never_more_than_the_affinity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, affinity: int, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(affinity)))
    root = write(tmp_path, {"cpu.max": f"{quota} 100000"})
    assert granted_cpus(root, tmp_path / "none") == expected


def test_this_machine() -> None:
    assert 1 <= granted_cpus() <= len(os.sched_getaffinity(0))


def test_threads_are_what_a_runner_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQI_THREADS", "3")
    assert threads() == 3
    monkeypatch.delenv("VQI_THREADS")
    assert threads() == granted_cpus()
    for bad in ("0", "-1", "two"):
        monkeypatch.setenv("VQI_THREADS", bad)
        with pytest.raises(VqiError, match=f"got '{bad}'"):
            threads()


MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("files", "membership", "expected"),
    [
        ({}, "0::/\n", MACHINE),
        ({"memory.max": "max\n"}, "0::/\n", MACHINE),
        ({"memory.max": "268435456\n"}, "0::/\n", 256 << 20),
        ({"a/b/memory.max": "max", "a/memory.max": "1048576"}, "0::/a/b\n", 1 << 20),  # that of a group around it
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, "5:memory:/\n", MACHINE),  # version 1: no limit
        ({"memory/memory.limit_in_bytes": "134217728\n"}, "5:memory:/docker/ab\n", 128 << 20),
        ({"memory/d/x/memory.limit_in_bytes": "1048576"}, "3:cpu:/q\n4:memory:/d/x\n", 1 << 20),
    ],
)
def test_memory(tmp_path: Path, files: Mapping[str, str], membership: str, expected: int) -> None:
    root = write(tmp_path / "cgroup", files)
    (tmp_path / "membership").write_text(membership)
    assert granted_memory(root, tmp_path / "membership") == expected
