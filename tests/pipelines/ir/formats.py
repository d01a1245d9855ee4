"""The formats of a compiled pipeline as kfp's own protobuf messages: parsed strictly, walked by descriptor."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineDeploymentConfig, PipelineSpec, PlatformSpec

Path = tuple[Any, ...]
SAMPLE = "sample"

# The messages that kfp means where the format says "any mapping", by the field that contains them.
INSIDE = {
    "ml_pipelines.PipelineSpec.deployment_spec": PipelineDeploymentConfig,
    "ml_pipelines.PlatformDeploymentConfig.ExecutorsEntry.value": KubernetesExecutorConfig,
}


def at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def messages_of(text: str) -> list[tuple[Any, Message]]:
    """A compiled pipeline, and kfp's messages parsed from it; a field that those do not have is an error.

    Raises:
        json_format.ParseError: An unknown field, or a value of another type.
    """
    found: list[tuple[Any, Message]] = []
    for document, kind in zip(yaml.load_all(text, yaml.CSafeLoader), (PipelineSpec, PlatformSpec), strict=False):
        found.append((document, parse(document, kind)))
        found += [
            (at(document, place.path), parse(at(document, place.path), INSIDE_NAMES[place.message.full_name]))
            for place in places(document, kind.DESCRIPTOR)
            if place.message.full_name in INSIDE_NAMES
        ]
    return found


INSIDE_NAMES = {kind.DESCRIPTOR.full_name: kind for kind in INSIDE.values()}


def parse(document: Any, kind: type[Message]) -> Message:
    return json_format.ParseDict(document, kind(), ignore_unknown_fields=False)


def lost(document: Any, message: Message) -> list[str]:
    """Where a message, written back, differs from what it was read from; protobuf leaves out defaults."""
    return list(_differences(document, json_format.MessageToDict(message), ""))


def _differences(before: Any, after: Any, place: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {*before, *after}:
            yield from _differences(before.get(key), after.get(key), f"{place}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differences(one, other, f"{place}[{index}]")
    elif isinstance(before, bool) is not isinstance(after, bool) and before is not None and after is not None:
        yield place  # True == 1
    elif before != after and not (after is None and not before):
        yield place


# ----------------------------------------------------------------------------------------------------- by descriptor


@dataclass(frozen=True)
class Place:
    """A mapping of a document, and the message that it represents."""

    path: Path
    message: Descriptor


def inner(field: FieldDescriptor) -> Descriptor | None:
    """The message type of a field; None if it has a plain value, or any value at all."""
    if field.full_name in INSIDE:
        return INSIDE[field.full_name].DESCRIPTOR
    kind = field.message_type
    return None if kind is None or kind.file.package == "google.protobuf" else kind


def is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def places(document: Any, message: Descriptor, path: Path = ()) -> Iterator[Place]:
    """All mappings of a document that represent a message, itself first."""
    yield Place(path, message)
    for field in message.fields:
        value, below = document.get(field.json_name), (*path, field.json_name)
        if value is None:
            continue
        entries: list[tuple[Path, Any]] = [(below, value)]
        kind = inner(field)
        if is_map(field):
            kind = inner(field.message_type.fields_by_name["value"])
            entries = [((*below, key), part) for key, part in value.items()]
        elif field.is_repeated:
            entries = [((*below, index), part) for index, part in enumerate(value)]
        for entry, part in entries if kind else ():
            yield from places(part, kind, entry)


def samples(field: FieldDescriptor) -> list[Any]:
    """Values for a field that is not set yet: one, or all of an enumeration."""
    if is_map(field):
        return [{SAMPLE: one} for one in samples(field.message_type.fields_by_name["value"])]
    if field.enum_type:
        found: list[Any] = [value.name for value in field.enum_type.values if value.number]
    elif field.message_type:
        known = {"google.protobuf.Duration": "7s", "google.protobuf.Value": SAMPLE, "google.protobuf.Struct": {}}
        first = kind.fields[0] if (kind := inner(field)) else None
        found = [{first.json_name: samples(first)[0]}] if first else [known[field.message_type.full_name]]
    else:
        kinds = {FieldDescriptor.CPPTYPE_STRING: SAMPLE, FieldDescriptor.CPPTYPE_BOOL: True}
        found = [kinds.get(field.cpp_type, 7)]
    return [[one] for one in found] if field.is_repeated else found


def changed(value: Any) -> Any:
    """Another value of the same type, for a field that is already set."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    return {} if isinstance(value, dict) else []


def with_value(document: Any, path: Path, value: Any, without: Collection[str] = ()) -> Any:
    """A copy of the document with one value inserted, and some keys next to it removed."""
    copied = copy.deepcopy(document)
    mapping = at(copied, path[:-1])
    mapping[path[-1]] = value
    for key in without:
        mapping.pop(key, None)
    return copied


def alternatives(field: FieldDescriptor) -> set[str]:
    """The fields that cannot be set together with it."""
    choice = field.containing_oneof
    return {other.json_name for other in choice.fields if other is not field} if choice else set()


def messages_below(kinds: Iterable[Descriptor], but: Collection[str]) -> set[str]:
    """All messages that these can contain at any depth, without those that are only in some fields."""
    found: set[str] = set()
    waiting = list(kinds)
    while waiting:
        message = waiting.pop()
        if message.full_name not in found:
            found.add(message.full_name)
            waiting += [kind for field in message.fields if field.full_name not in but and (kind := inner(field))]
    return {name for name in found if not name.endswith("Entry")}  # of maps, which protobuf makes messages of
