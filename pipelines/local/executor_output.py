"""What a step says about its outputs in ``executor_output.json``: a Python component's return values are only there.

Source: ``ExecutorOutput`` in pipeline_spec.proto.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vqi.errors import VqiError


@dataclass(frozen=True)
class ExecutorOutput:
    """The values of output parameters, and the metadata of output artifacts, by their names."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_executor_output(path: Path) -> ExecutorOutput:
    """What a step wrote; nothing if it wrote no such file.

    Raises:
        VqiError: The file is something else.
    """
    if not path.is_file():
        return ExecutorOutput()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        artifacts = content.get("artifacts", {})
        metadata = {name: part["artifacts"][0].get("metadata", {}) for name, part in artifacts.items()}
        return ExecutorOutput(dict(content.get("parameterValues", {})), metadata)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError) as error:
        raise VqiError(f"{path.name}: expected an ExecutorOutput of kfp as JSON, got something else") from error
