"""Reading of nested mappings that overlooks nothing: a key that nobody takes is an error with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import yaml

from vqi.errors import VqiError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]{0,199}")  # names become folders and files: none may lead elsewhere


class Node:
    """A mapping and its place in the document; ``take`` removes a key, ``end`` refuses what is left."""

    def __init__(self, value: object, place: str) -> None:
        if not isinstance(value, dict):
            raise VqiError(f"{place or 'pipeline'}: expected a mapping, got {type(value).__name__}")
        self._left = dict(value)
        self.place = place

    def at(self, key: str) -> str:
        """The place of a key."""
        return f"{self.place}.{key}" if self.place else key

    def has(self, key: str) -> bool:
        """Whether a key is left."""
        return key in self._left

    def keys(self) -> list[str]:
        """The keys that are left."""
        return [str(key) for key in self._left]

    def take(self, key: str, kind: type | tuple[type, ...] = object) -> Any:
        """The value of a key, of the type asked for."""
        if key not in self._left:
            raise VqiError(f"{self.place or 'pipeline'}: expected the key '{key}', got {sorted(self.keys())}")
        value = self._left.pop(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and not _takes_bool(kind)):
            raise VqiError(f"{self.at(key)}: got {type(value).__name__}, which does not fit here")
        return value

    def maybe(self, key: str, kind: type | tuple[type, ...], otherwise: Any) -> Any:
        """The value of a key, or ``otherwise`` where it is absent."""
        return self.take(key, kind) if key in self._left else otherwise

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of texts of a key; an empty one where it is absent."""
        values = self.maybe(key, list, [])
        for place, value in enumerate(values):
            if not isinstance(value, str):
                raise VqiError(f"{self.at(key)}[{place}]: expected a text, got {value!r}")
        return tuple(values)

    def name(self, text: str, key: str = "") -> str:
        """A name, refused where it could not be a folder's."""
        if not _NAME.fullmatch(text):
            place = self.at(key) if key else self.place
            raise VqiError(f"{place}: expected a name of letters, digits and '_-. ', got '{text}'")
        return text

    def node(self, key: str) -> Node:
        """The mapping of a key; an empty one where it is absent."""
        return Node(self._left.pop(key, {}), self.at(key))

    def nodes(self) -> Iterator[tuple[str, Node]]:
        """All keys with their mappings."""
        for key in list(self._left):
            yield str(key), self.node(key)

    def end(self, **why: str) -> None:
        """Refuse what was not taken; ``why`` says for a key what it means."""
        for key in self._left:
            raise VqiError(f"{self.at(key)}: {why.get(str(key), 'this construct')} is not supported")


def _takes_bool(kind: type | tuple[type, ...]) -> bool:
    """Whether true and false are meant; to Python they are whole numbers."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return bool in kinds or object in kinds


# libyaml's parser takes a tenth of the time, if PyYAML was built with it.
_SafeLoader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class StrictLoader(_SafeLoader):  # type: ignore[misc, valid-type]
    """YAML without duplicate keys; a date is a text, as in JSON."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in known if tag != "tag:yaml.org,2002:timestamp"]
        for first, known in _SafeLoader.yaml_implicit_resolvers.items()
    }


def unique_mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    """A mapping, refused where a key is a duplicate or is no text; for loaders of YAML."""
    found: dict[Any, Any] = {}
    for key_node, value in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if isinstance(key, list | dict | set):
            raise VqiError(f"line {line}: expected a text as key, got {key!r}")
        if key in found:
            raise VqiError(f"line {line}: the key '{key}' is a duplicate")
        found[key] = loader.construct_object(value, deep=True)
    return found


StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, unique_mapping)
