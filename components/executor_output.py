"""What Kubeflow receives about a step's outputs besides their files: the metadata that its pages show.

Kubeflow gives a step the JSON of its inputs and outputs (``--executor-input {{$}}``) and reads the ExecutorOutput that
the step writes to the path named there. Argo has nothing like it and omits the argument.

Source: ``ExecutorInput`` and ``ExecutorOutput`` in pipeline_spec.proto.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from vqi.artifacts.files import Json, write_text
from vqi.errors import VqiError
from vqi.records import describe


def write_metadata(executor_input: str, metadata: Mapping[str, Json]) -> None:
    """Write the metadata of output artifacts for Kubeflow.

    Args:
        executor_input: What Kubeflow gave the step; nothing is written when empty.
        metadata: By the name of an output artifact. JSON values; Kubeflow accepts neither null nor NaN.

    Raises:
        VqiError: ``executor_input`` is not what Kubeflow gives, or names no such output.
    """
    if not executor_input:
        return
    try:
        outputs = _ExecutorInput.model_validate_json(executor_input).outputs
    except ValidationError as error:
        raise VqiError(f"executor_input: expected what Kubeflow inserts for {{{{$}}}}: {describe(error)}") from error
    artifacts = {name: {"artifacts": [_artifact(outputs, name) | {"metadata": of}]} for name, of in metadata.items()}
    write_text(Path(outputs.file), json.dumps({"artifacts": artifacts}, ensure_ascii=False, allow_nan=False))


class _Artifacts(BaseModel):
    artifacts: list[Json] = Field(min_length=1)


class _Outputs(BaseModel):
    artifacts: dict[str, _Artifacts]
    file: str = Field(alias="outputFile")


class _ExecutorInput(BaseModel):
    """The part that matters here."""

    outputs: _Outputs


def _artifact(outputs: _Outputs, name: str) -> Json:
    """What Kubeflow states about an output artifact."""
    if name not in outputs.artifacts:
        raise VqiError(f"executor_input: expected the output artifact '{name}', got {sorted(outputs.artifacts)}")
    return outputs.artifacts[name].artifacts[0]
