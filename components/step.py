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
from vqi.errors import BAD_INPUT, UNAVAILABLE, UnavailableError, VqiError, not_installed, printable
from vqi.records import describe
from vqi.system.os_errors import explain, is_known
from vqi.system.processor import threads
from vqi_components.flags import parse

# For torch, which otherwise logs a page about the kernels that IPEX replaces in every step.
QUIET = {"TORCH_CPP_LOG_LEVEL": "ERROR"}
# Kubernetes shows what a container writes there as the reason of its end; elsewhere the file does not exist.
TERMINATION_LOG = Path("/dev/termination-log")

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
        with threadpool_limits(threads()):
            run(arguments)
    except ValidationError as error:
        return _fail(describe(error))
    except UnavailableError as error:
        return _fail(str(error), UNAVAILABLE)
    except VqiError as error:
        return _fail(str(error))
    except ModuleNotFoundError as error:
        missing = not_installed(error.name)
        if missing is None:
            raise
        return _fail(f"the step {name} {missing}")
    except OSError as error:
        if not is_known(error):
            raise
        return _fail(explain(error, "output"))
    return 0


def _fail(message: str, code: int = BAD_INPUT) -> int:
    message = printable(message)
    sys.stderr.write(f"error: {message}\n")
    if os.access(TERMINATION_LOG, os.W_OK):
        TERMINATION_LOG.write_text(message, encoding="utf-8")
    return code
