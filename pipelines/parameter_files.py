"""Parameter files: YAML that holds what JSON can, so that a value is the same in a file, on a command line and on a
cluster."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from vqi.errors import VqiError
from vqi.strict_json import check_nesting
from vqi.system.os_errors import reason
from vqi.system.paths import local_path
from vqi_pipelines.ir.node import unique_mapping

_MOST_BYTES = 1 << 17


def read_parameter_file(file: Path) -> dict[str, Any]:
    """The parameters in a YAML file of ``name: value`` lines.

    Raises:
        VqiError: It cannot be read, is something else, has a key twice, or a value that no parameter can have.
    """
    path = local_path(file)
    try:
        return _read(path)
    except (OSError, ValueError, yaml.YAMLError) as error:  # UnicodeDecodeError is a ValueError
        raise VqiError(f"parameter file {file}: expected YAML 'name: value' lines, got: {reason(error)}") from error
    except RecursionError as error:
        raise VqiError(f"parameter file {file}: expected YAML 'name: value' lines, got: too many levels") from error
    except VqiError as error:
        raise VqiError(f"parameter file {file}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as source:
        data = source.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise VqiError(f"expected a few lines, got more than {_MOST_BYTES >> 10} KiB")
    content = yaml.load(data.decode(), _ParameterLoader)  # noqa: S506 - a safe loader
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(type(content).__name__)
    check_nesting(content)
    for name, value in content.items():
        _check(value, str(name))
    return {str(name): value for name, value in content.items()}


class _ParameterLoader(yaml.SafeLoader):
    """No key twice, and no references: a few lines of them are more values than any memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """See ``yaml.composer``."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            line = event.start_mark.line + 1 if event.start_mark else "?"
            raise VqiError(f"line {line}: a reference (*{event.anchor}): write the value itself")
        return super().compose_node(parent, index)


_ParameterLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, unique_mapping)


def _check(value: Any, place: str) -> None:
    """Check that JSON can hold a value.

    Raises:
        VqiError: A date, a set, bytes, NaN, infinity, or a key that is no text.
    """
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                raise VqiError(f"{place}: expected texts as keys, got {key!r}: put it in quotes")
            _check(part, f"{place}.{key}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            _check(part, f"{place}[{number}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise VqiError(f"{place}: expected a number that can be computed with, got {value}")
    elif not isinstance(value, (str, int, float, bool, type(None))):
        raise VqiError(
            f"{place}: expected a text, a number, true or false, a list or a mapping, got {value} "
            f"({type(value).__name__}): put a text in quotes"
        )
