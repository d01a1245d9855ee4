"""Argo objects as YAML: names first, long texts as blocks, always in the same form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel

_FIRST = ("apiVersion", "kind", "metadata", "name", "template", "depends", "withParam", "withItems")
# Texts that PyYAML writes without quotes and Go's reader reads as booleans and numbers: n, Y, 1e3, 0o17.
_BARE_IS_NO_TEXT = re.compile(r"[yYnN]|[-+.]?\d.*")


class _Dumper(yaml.SafeDumper):
    """Indents lists below their keys, and writes no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if text.endswith("\n") else "'" if _BARE_IS_NO_TEXT.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def to_dict(model: BaseModel) -> dict[str, Any]:
    """An object as the mapping that is written to YAML."""
    ordered = _ordered(model.model_dump(mode="json", by_alias=True, exclude_none=True))
    return dict(ordered)


def to_yaml(*objects: BaseModel | Mapping[str, Any], comment: str) -> str:
    """One YAML document per object.

    Args:
        objects: Models, or mappings of objects that hera has no model for.
        comment: The first line.
    """
    found = [to_dict(one) if isinstance(one, BaseModel) else dict(one) for one in objects]
    return f"# {comment}\n" + "---\n".join(dump(one) for one in found)


def dump(content: Mapping[str, Any]) -> str:
    """A mapping as YAML."""
    return str(yaml.dump(dict(content), Dumper=_Dumper, sort_keys=False, width=4096, allow_unicode=True))


def _ordered(value: Any) -> Any:
    if isinstance(value, list):
        return [_ordered(part) for part in value]
    if not isinstance(value, dict):
        return value
    keys = sorted(value, key=lambda key: (_FIRST.index(key) if key in _FIRST else len(_FIRST), key))
    return {key: _ordered(value[key]) for key in keys}
