"""The compiled pipeline: what the local backend runs and the others are made from. Compiling imports kfp."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from vqi.errors import VqiError

COMPILED = "VQI_COMPILED_PIPELINE"


def pipeline_to_run() -> str:
    """The training pipeline as PipelineSpec YAML: the file that ``$VQI_COMPILED_PIPELINE`` names, else compiled now.

    The container image names it, and has no kfp.

    Raises:
        VqiError: The file cannot be read.
    """
    named = os.environ.get(COMPILED)
    if not named:
        return training_ir()
    try:
        return Path(named).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VqiError(
            f"{COMPILED}: {named} cannot be read ({error}): name the file that 'vqi compile' wrote"
        ) from error


def training_ir() -> str:
    """The training pipeline as PipelineSpec YAML, compiled."""
    from vqi_pipelines.training import training

    return ir_of(training)


def ir_of(pipeline: object) -> str:
    """A kfp pipeline as PipelineSpec YAML."""
    from kfp.compiler import Compiler

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        Compiler().compile(pipeline, str(path))
        return path.read_text(encoding="utf-8")
