"""The launchers by their names. The module for containers is imported only when needed, because that takes a while."""

from __future__ import annotations

from vqi_pipelines.local.launch import SUBPROCESS, Launcher, Subprocesses


def launcher_of(name: str) -> Launcher:
    """The launcher of that name: ``subprocess``, or an engine of containers."""
    if name == SUBPROCESS:
        return Subprocesses()
    from vqi_pipelines.local.containers import Containers

    return Containers(name)
