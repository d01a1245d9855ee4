"""The compiled pipeline, in memory: what the local backend runs and the others are made from."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kfp.compiler import Compiler

from pipelines.training import training


def training_ir() -> str:
    """The training pipeline as PipelineSpec YAML."""
    return ir_of(training)


def ir_of(pipeline: object) -> str:
    """A kfp pipeline as PipelineSpec YAML."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        Compiler().compile(pipeline, str(path))
        return path.read_text(encoding="utf-8")
