"""A step's command line, made from its config model: one flag per field; the model itself reads its text."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin

from pydantic.fields import FieldInfo

from vqi.config import StepConfig
from vqi.errors import VqiError
from vqi.system.paths import local_path
from vqi_components.environment import SECRETS

Arguments = TypeVar("Arguments", bound=StepConfig)


def parse(
    name: str, model: type[Arguments], argv: Sequence[str], environment: MutableMapping[str, str] = os.environ
) -> Arguments:
    """The arguments of the step ``name``. Only the flags count: no value comes from the environment or a file, but for
    the secret parts of a flag that the local backend redacted.

    Raises:
        ValidationError: A value is missing, of the wrong type or out of its range.
        VqiError: An unknown flag, or one without its value.
        SystemExit: ``--help``.
    """
    parser = _Parser(
        prog=f"python -m vqi_components.{name}",
        description=model.__doc__,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    for field, info in model.model_fields.items():
        parser.add_argument(flag_of(field), dest=field, help=_help(info), metavar=_kind(info), **_switch(info))
    given = vars(parser.parse_args([*_paired(argv, model)]))
    whole = _whole_values(environment.pop(SECRETS, "{}"))  # what this step starts does not need them
    given |= {field: text for field, text in whole.items() if field in given}
    paths = {field for field, info in model.model_fields.items() if info.annotation is Path}
    return model.model_validate({key: local_path(text) if key in paths else text for key, text in given.items()})


def flag_of(field: str) -> str:
    """The flag of a field."""
    return f"--{field.replace('_', '-')}"


def _paired(argv: Sequence[str], model: type[StepConfig]) -> Iterator[str]:
    """The command line with each flag and its value as one text, so that no value is taken for a flag."""
    switches = {flag_of(field): info.annotation is bool for field, info in model.model_fields.items()}
    texts = list(argv)
    while texts:
        flag = texts.pop(0)
        alone = not texts or (switches.get(flag) and texts[0].partition("=")[0] in switches)
        yield flag if flag not in switches or alone else f"{flag}={texts.pop(0)}"


def _whole_values(text: str) -> Mapping[str, str]:
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise VqiError(f"{SECRETS}: expected a JSON mapping of texts: it is set by 'vqi run' only, unset it")
    return values


class _Parser(argparse.ArgumentParser):
    """Its errors are raised, not printed."""

    def error(self, message: str) -> NoReturn:
        raise VqiError(f"{message}: '{self.prog} --help' lists the flags")


def _switch(info: FieldInfo) -> dict[str, Any]:
    """A flag of a bool may be given without a value."""
    return {"nargs": "?", "const": "true"} if info.annotation is bool else {}


def _kind(info: FieldInfo) -> str:
    """The kind of a value, as shown in the usage."""
    kind = get_origin(info.annotation)
    if kind is Literal:
        return "|".join(get_args(info.annotation))
    if kind in (list, dict):
        return "JSON"
    return getattr(info.annotation, "__name__", "text")


def _help(info: FieldInfo) -> str:
    end = "required" if info.is_required() else f"default: {info.default!r}"
    return f"{info.description or ''} ({end})".replace("%", "%%")
