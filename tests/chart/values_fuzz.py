"""Values made from the chart's schema: mostly valid ones, some of which are replaced by something else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

from jsonschema import Draft7Validator

from tests.chart.rendering import CHART

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
_DIGEST = f"sha256:{1:064x}"
# What people write, and what is next to it.
POOL: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, -1, 7, 30, 255, 1.5, 0.05, 1e-3, 2**31, 2**53, 1e21, 65535),
    *("", " ", "a", "A", "1", "a-b", "-a", "a-", "a.b", "a_b", "a..b", "x" * 41, "x" * 64, "x" * 254, "é", "true"),
    *("null", "{{x}}", "{{workflow.name}}", "a\nb", "a: b", "'", '"', "#", "@x", "=1", "~", "a b", "$(HOME)", "*"),
    *("/tmp", "/outputs", "/outputs/x", "/data", "/data/", "/", "//a", "/a/../b", "/photos", "/usr"),
    *("http://h:1", "https://s3.example.com", "http://u:p@h:1", "h:9000", "s3.example.com:443", "h:99999", "http://h/p"),
    *("s3://vqi", "s3://bucket/x", "s3://B", "s3:///x", "vqi-artifacts", "10Gi", "1ki", "1e3", "0", "0.5", "250m", "9"),
    *("latest", "0.1.0", "registry.example.com/q", "localhost:5000", "R/x", "a//b", _DIGEST, "sha256:0", "us-east-1"),
    *("Europe/Berlin", "Mars/Base", "0 3 * * 1", "0 3 * * mon-fri", "0 3 * * 5-1", "0 0 30 2 *", "@daily"),
    *("10.0.0.0/8", "10.0.0.0/33", "fd00::/8", "kubernetes.io/hostname", "a/b/c", "example.com/x", "ca.crt", "TCP"),
    *([], {}, ["a"], [""], [None], [["a"]], {"a": "b"}, {"a": None}, {"a": 1}, {"A b": "c"}, {"example.com/x": "1"}),
)  # fmt: skip


def case(random: Random, base: dict[str, Any]) -> dict[str, Any]:
    """Values with one to four others."""
    values = json.loads(json.dumps(base))
    for _ in range(random.randint(1, 4)):
        places = list(_places(SCHEMA, ()))
        *parents, last = random.choice(places)
        inner = values
        for key in parents:
            if not isinstance(inner.get(key), dict):
                inner[key] = {}
            inner = inner[key]
        inner[last] = _value(random, _at((*parents, last)), 4)
    return values


def _places(schema: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """All values that the schema names, and those of the parameters and steps fewer times."""
    for name, inside in _resolved(schema).get("properties", {}).items():
        yield (*path, name)
        if len(path) < 2:
            yield from _places(inside, (*path, name))


def _at(path: tuple[str, ...]) -> dict[str, Any]:
    found = SCHEMA
    for key in path:
        found = _resolved(found)["properties"][key]
    return _resolved(found)


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return SCHEMA["definitions"][reference.removeprefix("#/definitions/")] if reference else schema


def _value(random: Random, schema: dict[str, Any], depth: int) -> Any:
    """A value for a part of the schema: nine of ten fit it, as far as they can be found."""
    schema = _resolved(schema)
    if random.random() < 0.06:
        return random.choice(POOL)
    if properties := schema.get("properties"):
        wanted = {*schema.get("required", ()), *(name for name in properties if random.random() < 0.35)}
        return (
            {name: _value(random, properties[name], depth - 1) for name in properties if name in wanted}
            if depth
            else {}
        )
    if schema.get("type") == "array" and schema.get("items") and depth:
        return [_value(random, schema["items"], depth - 1) for _ in range(random.randint(0, 2))]
    fitting = _fitting(json.dumps(schema))
    return random.choice(fitting or POOL)


@cache
def _fitting(schema: str) -> list[Any]:
    """What of the pool fits a schema."""
    validator = Draft7Validator({"definitions": SCHEMA["definitions"], "allOf": [json.loads(schema)]})
    listed = json.loads(schema).get("enum", [])
    return [*listed, *(one for one in POOL if validator.is_valid(one))]
