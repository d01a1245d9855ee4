"""How a step starts: flags from its config model, errors as one line, exit code 2 for what a user can mend."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar, cast

from pydantic import ValidationError
from pydantic_settings import BaseSettings, CliApp, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError
from threadpoolctl import threadpool_limits

from vqi.artifacts.files import write_text
from vqi.config import StepConfig
from vqi.errors import BAD_INPUT, UNAVAILABLE, UnavailableError, VqiError, not_installed
from vqi.records import describe
from vqi.system.processor import threads

# Before torch is imported: it logs a page about the kernels that IPEX replaces, into the log of every step.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

_MENDABLE = {
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "the disk quota is used up: make room",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.EACCES: "no permission: choose a folder you may write to",
    errno.EPERM: "no permission: choose a folder you may write to",
    errno.ENOTDIR: "a file stands where a folder is needed: choose another folder",
    errno.EEXIST: "a file stands where a folder is needed: choose another folder",
    errno.EISDIR: "a folder stands where a file is needed: choose another path",
}
# Kubernetes shows what a container leaves there as the reason of its end; elsewhere there is no such file.
TERMINATION_LOG = Path("/dev/termination-log")

# What `--executor-input` is, for the steps whose outputs Kubeflow draws.
EXECUTOR_INPUT = "input: where to tell Kubeflow what its pages show of the outputs, as JSON; empty elsewhere"


class _Flags(BaseSettings):
    """The flags alone decide: neither the environment nor a file fills a gap."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keep what is given in code, which the flags come through."""
        return (init_settings,)


Arguments = TypeVar("Arguments", bound=StepConfig)
Config = TypeVar("Config", bound=StepConfig)


def settings_of(arguments: StepConfig, model: type[Config]) -> Config:
    """The settings among a step's arguments, without its paths."""
    return model(**{name: getattr(arguments, name) for name in model.model_fields})


def write_list(path: Path, values: Sequence[str]) -> None:
    """Write an output parameter that is a list, as JSON."""
    write_text(path, json.dumps(list(values), ensure_ascii=False))


def parse(name: str, model: type[Arguments], argv: Sequence[str]) -> Arguments:
    """The arguments of the step ``name`` from its flags, which are generated from ``model``.

    Raises:
        ValidationError: A value is missing, of the wrong type or out of its range.
        VqiError: An unknown flag, or one without its value.
        SystemExit: ``--help``.
    """
    config = SettingsConfigDict(
        cli_kebab_case=True, cli_prog_name=f"python -m vqi_components.{name}", cli_exit_on_error=False
    )
    flags = type(model.__name__, (model, _Flags), {"__doc__": model.__doc__, "model_config": config})
    try:
        return cast(Arguments, CliApp.run(flags, cli_args=_spelt_out(model, argv)))
    except SettingsError as error:
        reason = str(error).removeprefix("error parsing CLI: ")
        raise VqiError(f"{reason}: 'python -m vqi_components.{name} --help' lists the flags") from error


def _spelt_out(model: type[Config], argv: Sequence[str]) -> list[str]:
    """The flags with ``true`` behind each switch that stands alone."""
    switches = {f"--{name.replace('_', '-')}" for name, field in model.model_fields.items() if field.annotation is bool}
    spelt: list[str] = []
    for flag, following in zip_longest(argv, argv[1:], fillvalue="--"):
        spelt += [flag, "true"] if flag in switches and following.startswith("--") else [flag]
    return spelt


def main(name: str, model: type[Arguments], run: Callable[[Arguments], None], argv: Sequence[str] | None = None) -> int:
    """Parse the flags, run the step, and turn a known error into one line on stderr.

    Args:
        name: Of the step's folder.
        model: The step's config with its inputs and outputs.
        run: Does the work.
        argv: The flags; those of the process when None.

    Returns:
        0 done, 2 for what a user can mend, 75 for what may go well later. Anything else is a defect and ends with a
        traceback.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
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
        if error.errno not in _MENDABLE:
            raise
        return _fail(f"{error.filename or 'output'}: {os.strerror(error.errno)}: {_MENDABLE[error.errno]}")
    return 0


def _fail(message: str, code: int = BAD_INPUT) -> int:
    sys.stderr.write(f"error: {message}\n")
    if os.access(TERMINATION_LOG, os.W_OK):
        TERMINATION_LOG.write_text(message, encoding="utf-8")
    return code
