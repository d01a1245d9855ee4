"""The compiled pipeline: in memory for the local backend, in ``manifests/`` for the others."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kfp.compiler import Compiler

from pipelines.training import training
from vqi.artifacts import atomic_path


def training_ir() -> str:
    """The training pipeline as PipelineSpec YAML."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "training.yaml"
        Compiler().compile(training, str(path))
        return path.read_text(encoding="utf-8")


def write_manifests(folder: Path) -> list[Path]:
    """Write the compiled forms; returns their paths."""
    path = folder / "kubeflow" / "training.yaml"
    with atomic_path(path) as temporary:
        temporary.write_text(training_ir(), encoding="utf-8")
    return [path]
