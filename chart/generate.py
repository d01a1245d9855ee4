"""Writes the parts of the chart that follow from the pipeline and from ``values.yaml``; ``make compile`` runs it.

The compiled workflow, the values under ``parameters`` with their meaning, those under ``steps``, the schema of both,
and the README of all values, made from the ``# --`` above each.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from chart.kubernetes_schema import definitions
from vqi_pipelines.argo.cron_lines import cron_schema
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.image_names import REGISTRY, TAG
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.values import MOST_WHOLE
from vqi_pipelines.parameters import describe_parameters, pipeline_fields

CHART = Path(__file__).parent
COMPILED = CHART.parent / "manifests" / "argo" / "training.yaml"
SERVING = {"vqi-serve", "vqi-serve-torch"}
PLAIN = re.compile(r"[a-z][a-z0-9_.]*|[0-9]+(m|Mi|Gi)")  # a text that YAML reads as text without quotes
HEAD = """# The chart `vqi`

Installs the training pipeline as a WorkflowTemplate of Argo Workflows (3.7 or 4, which must already be installed),
with what its runs need: [how to install it and run it](../docs/cluster.md).

## Values

Written by `make compile` from `values.yaml`.

| value | default | |
|---|---|---|
"""
STEPS = """# -- By step: resources of its container, written by `make compile`; nodeSelector and tolerations in addition to those of nodePool
steps:
"""  # noqa: E501 - one line in values.yaml
PARAMETERS = """# The pipeline's parameters, written by `make compile`; a run or the schedule may set other values.
parameters:
"""


def documented(text: str) -> list[tuple[str, str]]:
    """The values with a ``# --`` above them, as dotted names, with the text of that comment.

    Args:
        text: Content of values.yaml, two spaces per level.
    """
    found, path, said = [], [""] * 8, ""
    for line in text.splitlines():
        stripped = line.lstrip(" ")
        if stripped.startswith("# -- "):
            said = stripped.removeprefix("# -- ")
        elif ":" in stripped:
            depth = (len(line) - len(stripped)) // 2
            path[depth] = stripped.split(":", 1)[0]
            if said:
                found.append((".".join(path[: depth + 1]), said))
            said = ""
    return found


def default_of(values: Any, name: str) -> str:
    """The default of a dotted name, as written in a table; for a long one, where to look it up."""
    for key in name.split("."):
        values = values[key]
    text = json.dumps(values)
    return f"`{text}`" if len(text) <= 60 else "see `values.yaml`"


def readme(text: str) -> str:
    """The README of the values in a text."""
    values = yaml.safe_load(text)
    rows = [f"| `{name}` | {default_of(values, name)} | {cell(said)} |\n" for name, said in documented(text)]
    return HEAD + "".join(rows)


def cell(text: str) -> str:
    """A text as written in a table."""
    return re.sub(r"(<[^>`]*>)", r"`\1`", text.replace("|", "\\|"))


def with_parameters(text: str) -> str:
    """The text of values.yaml with the pipeline's parameters as they are now."""
    lines = [
        f"  # -- {' '.join(meaning.split())}\n  {name}: {_written(default)}\n"
        for name, default, meaning in describe_parameters(read_ir(training_ir()))
    ]
    return _with_block(text, PARAMETERS, lines)


def with_steps(text: str) -> str:
    """The text of values.yaml with the resources of the pipeline's steps as they are now."""
    lines = [f"  {name}:\n    resources: {_flow(resources)}\n" for name, resources in step_resources().items()]
    return _with_block(text, STEPS, lines)


def step_resources() -> dict[str, dict[str, dict[str, str]]]:
    """The resources of each step's container in the compiled pipeline."""
    templates = yaml.safe_load(COMPILED.read_text(encoding="utf-8"))["spec"]["templates"]
    return {one["name"]: one["container"]["resources"] for one in templates if "container" in one}


def container_images() -> list[str]:
    """The names of the container images of the compiled pipeline, and of those that serve models."""
    templates = yaml.safe_load(COMPILED.read_text(encoding="utf-8"))["spec"]["templates"]
    return sorted({one["container"]["image"].rpartition(":")[0] for one in templates if "container" in one} | SERVING)


def _with_block(text: str, heading: str, lines: list[str]) -> str:
    """A text with the lines under one of its headings replaced, up to the next empty line."""
    before, found, rest = text.partition(heading)
    if not found:
        raise ValueError(f"chart/values.yaml: expected the lines {heading!r}")
    _, _, after = rest.partition("\n\n")
    return f"{before}{heading}{''.join(lines)}\n{after}"


def _flow(resources: dict[str, dict[str, str]]) -> str:
    """Resources in one line; a number of cores stays a text."""
    groups = {
        group: ", ".join(f"{name}: {_written(amount)}" for name, amount in resources[group].items())
        for group in ("requests", "limits")
    }
    return "{" + ", ".join(f"{group}: {{{amounts}}}" for group, amounts in groups.items()) + "}"


def _written(value: Any) -> str:
    return value if isinstance(value, str) and PLAIN.fullmatch(value) else json.dumps(value)


def with_schema(text: str, values: str) -> str:
    """The text of values.schema.json with what follows from the pipeline, from Kubernetes and from values.yaml."""
    schema = json.loads(text)
    steps, images = step_resources(), container_images()
    schema["properties"]["steps"]["properties"] = {name: {"$ref": "#/definitions/step"} for name in steps}
    schema["properties"]["image"]["properties"]["registry"]["pattern"] = f"^{REGISTRY}$"
    schema["properties"]["image"]["properties"]["tag"]["pattern"] = f"^{TAG}$"
    schema["properties"]["image"]["properties"]["digests"]["properties"] = {
        name: {"$ref": "#/definitions/image-digest"} for name in images
    }
    schema["properties"]["serving"]["properties"]["image"]["enum"] = sorted(SERVING)
    schema["properties"]["schedule"]["properties"]["schedules"]["items"] = cron_schema()
    schema["definitions"]["parameters"]["properties"] = {
        name: _schema_of(model.model_json_schema()["properties"][field])
        for name, (model, field) in pipeline_fields(read_ir(training_ir())).items()
    }
    for name in [name for name in schema["definitions"] if name.startswith("io.k8s.") or name == "complete"]:
        del schema["definitions"][name]
    schema["definitions"] |= definitions() | {"complete": _complete(yaml.safe_load(values))}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _complete(values: dict[str, Any]) -> dict[str, Any]:
    """A schema in which no value is missing: Helm removes one that is set to null, and its default."""
    inside = {name: _complete(value) for name, value in values.items() if isinstance(value, dict) and value}
    return {"required": list(values)} | ({"properties": inside} if inside else {})


def _schema_of(field: dict[str, Any]) -> dict[str, Any]:
    """The constraints of a value: its type and range, without its meaning."""
    kept = {key: value for key, value in field.items() if key not in ("title", "description", "default")}
    if kept.get("type") == "integer" and not {"maximum", "exclusiveMaximum"} & kept.keys():
        kept["maximum"] = MOST_WHOLE  # Helm reads numbers as floating-point ones
    return kept


def generated() -> dict[Path, str]:
    """All files that are written, with their contents."""
    values = with_steps(with_parameters((CHART / "values.yaml").read_text(encoding="utf-8")))
    schema = (CHART / "values.schema.json").read_text(encoding="utf-8")
    return {
        CHART / "values.yaml": values,
        CHART / "values.schema.json": with_schema(schema, values),
        CHART / "README.md": readme(values),
        CHART / "files" / "training.yaml": COMPILED.read_text(encoding="utf-8"),
    }


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
