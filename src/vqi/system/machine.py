"""What this machine is: its processor, its memory and its disks, as Linux tells."""

from __future__ import annotations

import os
import re
from pathlib import Path

from vqi.system.processor import CPUINFO

MEMINFO = Path("/proc/meminfo")
NODES = Path("/sys/devices/system/node")

# What makes networks fast, with the flag by which Linux names it.
INSTRUCTIONS = {
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "VNNI": "avx512_vnni",
    "AVX-512 BF16": "avx512_bf16",
    "AMX BF16": "amx_bf16",
    "AMX INT8": "amx_int8",
}


def processor_name(cpuinfo: Path = CPUINFO) -> str:
    """As its maker calls it; '' where that is not known."""
    text = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.is_file() else ""
    found = re.search(r"^model name\s*:\s*(.*\S)", text, re.MULTILINE)
    return found[1] if found else ""


def numa_nodes(folder: Path = NODES) -> int:
    """How many parts of the machine have a memory of their own; at least 1."""
    return max(1, len(list(folder.glob("node[0-9]*"))))


def free_memory(meminfo: Path = MEMINFO) -> int | None:
    """Bytes that could be used without swapping; None where that is not known."""
    text = meminfo.read_text(encoding="ascii", errors="replace") if meminfo.is_file() else ""
    found = re.search(r"^MemAvailable:\s*(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def free_disk(folder: Path) -> int:
    """Bytes that this user may write to the disk of a folder, or of the one in which it would be made."""
    while not folder.exists():
        folder = folder.parent
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
