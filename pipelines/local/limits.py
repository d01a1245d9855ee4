"""A step's limits of processor and memory, as a pipeline writes them, and the words for a step that reached one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vqi.errors import VqiError
from vqi.system.processor import granted_cpus

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_FACTORS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_FACTORS |= {f"{letter}i": 1024.0**power for power, letter in enumerate("KMGT", start=1)}

# What makes a step of this project hold less at once.
_LOWER = {
    "preprocess": "lower image_size, or shrink the photographs",
    "ssl_finetune": "lower batch_size in finetune, or image_size",
    "feature_extract": "lower batch_size or image_size, or raise pool",
    "pca_fit": "lower image_size, or raise pool",
    "evaluate": "lower image_size, or raise pool",
}


@dataclass(frozen=True)
class Limits:
    """What a step may use at most; None where nothing is said."""

    cpus: float | None = None
    memory: int | None = None  # bytes


def limits_of(resources: Mapping[str, Any]) -> Limits:
    """The limits among a container's resources in the IR.

    Raises:
        VqiError: An amount that is none.
    """
    cpus, memory = resources.get("cpuLimit"), resources.get("memoryLimit")  # cores; 10^9 bytes
    if "resourceCpuLimit" in resources:
        cpus = quantity(resources["resourceCpuLimit"], "cpu limit")
    if "resourceMemoryLimit" in resources:
        return Limits(cpus, int(quantity(resources["resourceMemoryLimit"], "memory limit")))
    return Limits(cpus, None if memory is None else int(memory * 1e9))


def here(limits: Limits) -> Limits:
    """What of the limits means something on this machine: as many processors as it has, or more, are no limit."""
    return limits if limits.cpus is None or limits.cpus < granted_cpus() else replace(limits, cpus=None)


def quantity(text: str, name: str) -> float:
    """An amount as Kubernetes writes it: ``500m``, ``2``, ``512Mi``, ``1.5G``.

    Raises:
        VqiError: It is none.
    """
    match = _QUANTITY.fullmatch(text)
    if not match or float(match[1]) == 0:
        raise VqiError(f"{name}: expected an amount such as 500m, 2, 512Mi or 4G, got '{text}'")
    return float(match[1]) * _FACTORS[match[2] or ""]


def step_of(command: Sequence[str]) -> str:
    """The name of the project's step in ``python -m vqi_components.<name>``; empty for another command."""
    if len(command) > 2 and command[1] == "-m" and command[2].startswith("vqi_components."):
        return command[2].removeprefix("vqi_components.")
    return ""


def out_of_memory(command: Sequence[str], memory: int | None) -> str:
    """The words for a step that the kernel ended because its memory was used up."""
    advice = _LOWER.get(step_of(command), "let the step hold less at once")
    if memory is None:
        return f"out of memory: the machine had none left for the step: lower --parallelism; or {advice}"
    return f"out of memory at the step's limit of {memory / 2**20:.0f} MiB: raise the limit, or {advice}"


def killed(command: Sequence[str], memory: int | None) -> str:
    """The words for a step that was ended by SIGKILL, where nobody says why."""
    limit = "" if memory is None else f" (the step's limit is {memory / 2**20:.0f} MiB)"
    advice = _LOWER.get(step_of(command), "let the step hold less at once")
    return f"ended by signal SIGKILL, as the kernel does when memory runs out{limit}: if it was that, {advice}"
