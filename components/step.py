"""How a step starts and ends: flags from its config model, errors as one line, an exit code of `vqi.errors`."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from threadpoolctl import threadpool_limits

from vqi.artifacts.files import write_text
from vqi.config import StepConfig
from vqi.errors import BAD_INPUT, UNAVAILABLE, UnavailableError, VqiError, not_installed
from vqi.records import describe
from vqi.redaction import shown_line
from vqi.system.os_errors import explain, is_known
from vqi.system.processor import threads
from vqi_components.environment import TERMINATION, TERMINATION_BYTES, TERMINATION_LOG
from vqi_components.flags import parse
from vqi_components.outputs import claimed, outputs_of

# For torch, which otherwise logs a page about the kernels that IPEX replaces in every step.
QUIET = {"TORCH_CPP_LOG_LEVEL": "ERROR"}

# What `--executor-input` is, for the steps whose outputs Kubeflow shows.
EXECUTOR_INPUT = "input: JSON from Kubeflow, where to write what its pages show of the outputs; empty elsewhere"


Arguments = TypeVar("Arguments", bound=StepConfig)
Config = TypeVar("Config", bound=StepConfig)


def settings_of(arguments: StepConfig, model: type[Config]) -> Config:
    """The settings among a step's arguments, without its paths."""
    return model(**{name: getattr(arguments, name) for name in model.model_fields})


def write_list(path: Path, values: Sequence[str]) -> None:
    """Write an output parameter that is a list, as JSON."""
    write_text(path, json.dumps(list(values), ensure_ascii=False))


def main(name: str, model: type[Arguments], run: Callable[[Arguments], None], argv: Sequence[str] | None = None) -> int:
    """Parse the flags, run the step, and turn a known error into one line on stderr.

    Args:
        name: Name of the step's folder.
        model: The step's config with its inputs and outputs.
        run: Does the work.
        argv: The flags; those of the process when None.

    Returns:
        0 done, `BAD_INPUT` for what a user can fix, `UNAVAILABLE` when retrying may succeed. Anything else
        is a defect and ends with a traceback.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for variable, value in QUIET.items():
        os.environ.setdefault(variable, value)
    try:
        arguments = parse(name, model, sys.argv[1:] if argv is None else argv)
        with claimed(name, outputs_of(arguments)), threadpool_limits(threads()):
            run(arguments)
    except Exception as error:
        reason = _known(name, error)
        if reason is None:
            _hand_over(f"{type(error).__name__}: {error}: a defect of vqi, the step's log says where")
            raise
        line = shown_line(reason)
        sys.stderr.write(f"error: {line}\n")
        _hand_over(line)
        return UNAVAILABLE if isinstance(error, UnavailableError) else BAD_INPUT
    return 0


def _known(name: str, error: Exception) -> str | None:
    """What is wrong, for an error that a user can do something about; None for a defect."""
    if isinstance(error, ValidationError):
        return describe(error)
    if isinstance(error, VqiError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        missing = not_installed(error.name)
        return f"the step {name} {missing}" if missing else None
    if isinstance(error, OSError) and is_known(error):
        return explain(error, "output")
    return None


def _hand_over(reason: str) -> None:
    """Leave the reason of a failure where the one who started the step reads it, cut at its end."""
    log = Path(os.environ.get(TERMINATION) or TERMINATION_LOG)
    if log.is_file() and os.access(log, os.W_OK):
        data = shown_line(reason).encode(errors="backslashreplace")[:TERMINATION_BYTES]
        log.write_bytes(data.decode(errors="ignore").encode())
