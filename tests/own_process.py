"""What must not happen in the process of the tests: importing IPEX, after which torch computes other bits."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


def in_own_process(function: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
    """What ``function``, of a module, returns or raises in a process that begins with it and ends with it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *given, **named).result()
