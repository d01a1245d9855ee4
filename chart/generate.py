"""Writes what in the chart follows from the pipeline and from ``values.yaml``; ``make compile`` runs it.

The compiled workflow, the values under ``parameters`` with what each means, their schema, and the README of all values,
made from the ``# --`` above each.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from vqi_pipelines.compiled import training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.parameters import describe_parameters, pipeline_fields

CHART = Path(__file__).parent
COMPILED = CHART.parent / "manifests" / "argo" / "training.yaml"
PLAIN = re.compile(r"[a-z][a-z0-9_.]*")  # a text that YAML takes as one without quotes
HEAD = """# The chart `vqi`

Installs the training pipeline as a WorkflowTemplate of Argo Workflows (3.7 or 4, which has to be there already), with
what its runs need: [how to install it and run it](../docs/cluster.md).

## Values

Written by `make compile` from `values.yaml`.

| value | default | |
|---|---|---|
"""
PARAMETERS = """# The pipeline's parameters, written by `make compile`; a run or the schedule may give others.
parameters:
"""


def documented(text: str) -> list[tuple[str, str]]:
    """The values with a ``# --`` above them, as dotted names, and what it says.

    Args:
        text: Of values.yaml, two spaces a level.
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
    """The default of a dotted name, as it stands in a table; of a long one that it is to be looked up."""
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
    """A text as it stands in a table."""
    return re.sub(r"(<[^>`]*>)", r"`\1`", text.replace("|", "\\|"))


def with_parameters(text: str) -> str:
    """The text of values.yaml with the pipeline's parameters as they are now."""
    before, _, rest = text.partition(PARAMETERS)
    _, _, after = rest.partition("\n\n")
    lines = [
        f"  # -- {' '.join(meaning.split())}\n  {name}: {_written(default)}\n"
        for name, default, meaning in describe_parameters(read_ir(training_ir()))
    ]
    return f"{before}{PARAMETERS}{''.join(lines)}\n{after}"


def _written(value: Any) -> str:
    return value if isinstance(value, str) and PLAIN.fullmatch(value) else json.dumps(value)


def with_parameter_schema(text: str) -> str:
    """The text of values.schema.json with the ranges of the pipeline's parameters as they are now."""
    schema = json.loads(text)
    schema["definitions"]["parameters"]["properties"] = {
        name: _schema_of(model.model_json_schema()["properties"][field])
        for name, (model, field) in pipeline_fields(read_ir(training_ir())).items()
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _schema_of(field: dict[str, Any]) -> dict[str, Any]:
    """What holds for a value: its type and range, not what it means."""
    return {key: value for key, value in field.items() if key not in ("title", "description", "default")}


def generated() -> dict[Path, str]:
    """All files that are written, with what is to stand in them."""
    values = with_parameters((CHART / "values.yaml").read_text(encoding="utf-8"))
    return {
        CHART / "values.yaml": values,
        CHART / "values.schema.json": with_parameter_schema((CHART / "values.schema.json").read_text(encoding="utf-8")),
        CHART / "README.md": readme(values),
        CHART / "files" / "training.yaml": COMPILED.read_text(encoding="utf-8"),
    }


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
