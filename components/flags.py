"""A step's command line, made from its config model: one flag per field; the model itself reads its text."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin

from pydantic.fields import FieldInfo

from vqi.config import StepConfig
from vqi.errors import VqiError

Arguments = TypeVar("Arguments", bound=StepConfig)


def parse(name: str, model: type[Arguments], argv: Sequence[str]) -> Arguments:
    """The arguments of the step ``name``. Only the flags count: no value comes from the environment or a file.

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
    return model.model_validate(vars(parser.parse_args(argv)))


def flag_of(field: str) -> str:
    """The flag of a field."""
    return f"--{field.replace('_', '-')}"


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
