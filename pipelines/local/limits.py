"""A step's limits of processor and memory, as a pipeline writes them, and the messages for a step that reached one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vqi.system.processor import granted_cpus
from vqi_pipelines.ir.admission import quantity
from vqi_pipelines.ir.graph import Container
from vqi_pipelines.pod_annotations import LESS_MEMORY


@dataclass(frozen=True)
class Limits:
    """The most that a step may use; None without a limit."""

    cpus: float | None = None
    memory: int | None = None  # bytes


def limits_of(resources: Mapping[str, Any]) -> Limits:
    """The limits among a container's resources in the IR.

    Raises:
        VqiError: An amount is invalid.
    """
    cpus, memory = resources.get("cpuLimit"), resources.get("memoryLimit")  # cores; 10^9 bytes
    if "resourceCpuLimit" in resources:
        cpus = quantity(resources["resourceCpuLimit"], "cpu limit")
    if "resourceMemoryLimit" in resources:
        return Limits(cpus, int(quantity(resources["resourceMemoryLimit"], "memory limit")))
    return Limits(cpus, None if memory is None else int(memory * 1e9))


def here(limits: Limits) -> Limits:
    """The limits that have an effect on this machine: as many processors as it has, or more, are no limit."""
    return limits if limits.cpus is None or limits.cpus < granted_cpus() else replace(limits, cpus=None)


def out_of_memory(container: Container, memory: int | None) -> str:
    """The message for a step that the kernel killed because its memory was used up."""
    if memory is None:
        return f"out of memory: the machine had none left for the step: lower --parallelism; or {_advice(container)}"
    return f"out of memory at the step's limit of {memory / 2**20:.0f} MiB: raise the limit, or {_advice(container)}"


def killed(container: Container, memory: int | None) -> str:
    """The message for a step that was ended by SIGKILL for an unknown reason."""
    limit = "" if memory is None else f" (the step's limit is {memory / 2**20:.0f} MiB)"
    return (
        f"ended by signal SIGKILL, as the kernel does when memory runs out{limit}: if it was that, {_advice(container)}"
    )


def _advice(container: Container) -> str:
    """How to make the step use less memory, as the pipeline declares it."""
    return container.pod.annotations.get(LESS_MEMORY, "make the step use less memory")
