"""A step's command line, made from its config model: one flag per field; the model itself reads its text."""

from __future__ import annotations

import argparse
import os
import sys
from collections import deque
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic.fields import FieldInfo

from vqi.config import StepConfig
from vqi.errors import VqiError, unknown
from vqi.records import cut
from vqi.system.paths import local_path
from vqi_components.environment import SECRETS, texts_in

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
    given = _texts(name, model, argv)
    whole = texts_in(SECRETS, environment.pop(SECRETS, "{}"))  # what this step starts does not need them
    given |= {field: text for field, text in whole.items() if field in given}
    paths = {field for field, info in model.model_fields.items() if info.annotation is Path}
    return model.model_validate({key: local_path(text) if key in paths else text for key, text in given.items()})


def flag_of(field: str) -> str:
    """The flag of a field."""
    return f"--{field.replace('_', '-')}"


def _texts(name: str, model: type[StepConfig], argv: Sequence[str]) -> dict[str, str]:
    """The text of each flag: what is behind it, whatever that looks like; a flag of a bool may have none."""
    fields = {flag_of(field): field for field in model.model_fields}
    given: dict[str, str] = {}
    left = deque(argv)
    while left:
        flag, equals, text = left.popleft().partition("=")
        if flag in ("-h", "--help"):
            _Help(name, model).print_help()
            sys.exit(0)
        if flag not in fields:
            hint = "'--help' lists the flags"
            raise VqiError(f"{unknown('flag', flag, fields)}: {hint}" if flag[:1] == "-" else f"'{cut(flag)}': {hint}")
        is_switch = model.model_fields[fields[flag]].annotation is bool
        if not equals and is_switch and (not left or left[0].partition("=")[0] in fields):
            text = "true"
        elif not equals and not left:
            raise VqiError(f"{flag}: expected a value behind it: '--help' lists the flags")
        elif not equals:
            text = left.popleft()
        given[fields[flag]] = text
    return given


class _Help(argparse.ArgumentParser):
    """The text of ``--help``."""

    def __init__(self, name: str, model: type[StepConfig]) -> None:
        super().__init__(prog=f"python -m vqi_components.{name}", description=model.__doc__)
        for field, info in model.model_fields.items():
            self.add_argument(flag_of(field), help=_help(info), metavar=_kind(info), **_switch(info))


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
