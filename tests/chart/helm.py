"""Helm's SDK, called in a process of its own.

It is a Go runtime in a shared library. In a process in which a network ran before (torch, OpenVINO), loading it ends
that process with SIGSEGV.
"""

import atexit
import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any


class HelmError(Exception):
    """What Helm said against a chart or its values."""


def lint(chart: str, values: dict[str, Any], kubernetes: str) -> dict[str, Any]:
    """The errors and messages of a strict ``helm lint``."""
    return _call(_lint, chart, values, kubernetes)


def render(chart: str, values: dict[str, Any], name: str, namespace: str) -> dict[str, str]:
    """The rendered files of a release, by their path in the chart."""
    return _call(_render, chart, values, name, namespace)


def package(chart: str, destination: str) -> str:
    """The path of the package that was written to the folder ``destination``."""
    return _call(_package, chart, destination)


def install(chart: str, name: str, namespace: str, values: dict[str, Any]) -> str:
    """What a client-side dry run of ``helm install`` responds, as JSON."""
    return _call(_install, chart, name, namespace, values)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    refusal, result = _process().submit(_guarded, function, *arguments).result()
    if refusal is not None:
        raise HelmError(refusal)
    return result


@cache
def _process() -> ProcessPoolExecutor:
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    atexit.register(pool.shutdown)
    return pool


# ------------------------------------------------------------------------------------------------------ in that process


def _guarded(function: Callable[..., Any], *arguments: Any) -> tuple[str | None, Any]:
    """Helm's errors cannot be pickled: their text goes back."""
    import helm_python

    try:
        return None, function(*arguments)
    except helm_python.HelmError as error:
        return str(error), None


def _lint(chart: str, values: dict[str, Any], kubernetes: str) -> dict[str, Any]:
    import helm_python

    return helm_python.lint(chart, values, strict=True, kube_version=kubernetes)


def _render(chart: str, values: dict[str, Any], name: str, namespace: str) -> dict[str, str]:
    import helm_python

    with helm_python.Chart.load(chart) as loaded:
        return loaded.render(values, name=name, namespace=namespace)


def _package(chart: str, destination: str) -> str:
    import helm_python

    return helm_python.package(chart, destination=destination)


def _install(chart: str, name: str, namespace: str, values: dict[str, Any]) -> str:
    import helm_python

    with helm_python.Config(namespace=namespace, storage_driver="memory") as config:
        return json.dumps(config.install(chart, name, values, dry_run="client"))
