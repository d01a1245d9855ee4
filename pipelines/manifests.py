"""The compiled pipeline for the other backends, as the files in ``manifests/``; also users' own pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vqi.system.atomic import write_text
from vqi_pipelines.argo import Schedule, cron_workflow, lower, to_yaml
from vqi_pipelines.argo.access import access_objects
from vqi_pipelines.argo.workflow import DEFAULT_SETTINGS
from vqi_pipelines.compiled import ir_of, training_ir
from vqi_pipelines.definition import pipelines_of
from vqi_pipelines.ir import read_ir
from vqi_pipelines.kubeflow import KubeflowSettings, for_kubeflow

TARGETS = ("kubeflow", "argo")
DEFAULT_KUBEFLOW = KubeflowSettings()
# The schedule that is written next to the training pipeline; it is off until a user turns it on.
RETRAINING = Schedule("retraining", ["0 3 * * 1"], suspended=True)
_COMPILED = "Compiled by 'vqi compile' from the pipeline '{}': change that instead."


def write_manifests(
    folder: Path, targets: Sequence[str] = TARGETS, kubeflow: KubeflowSettings = DEFAULT_KUBEFLOW
) -> list[Path]:
    """Write the compiled forms of the training pipeline, with the objects that it needs; returns their paths."""
    ir = training_ir()
    files = {}
    if "kubeflow" in targets:
        files["kubeflow/training.yaml"] = for_kubeflow(ir, kubeflow)
    if "argo" in targets:
        pipeline = read_ir(ir)
        template = lower(pipeline)
        comment = _COMPILED.format(pipeline.name)
        schedule = cron_workflow(pipeline, pipeline.name, RETRAINING)
        files["argo/training.yaml"] = to_yaml(template, comment=comment)
        files["argo/retraining.yaml"] = to_yaml(schedule, comment=comment)
        files["argo/access.yaml"] = to_yaml(*access_objects(DEFAULT_SETTINGS.service_account), comment=comment)
    return [_write(folder / name, text) for name, text in files.items()]


def write_other(file: Path, folder: Path, targets: Sequence[str]) -> list[Path]:
    """Compile the pipelines that a Python file defines; returns the paths of what was written.

    Raises:
        VqiError: The file cannot be imported or defines no pipeline, or a pipeline cannot be lowered.
    """
    written = []
    for pipeline in pipelines_of(file):
        ir = ir_of(pipeline)
        name = read_ir(ir).name if "argo" in targets else str(pipeline.name)
        if "kubeflow" in targets:
            written.append(_write(folder / "kubeflow" / f"{name}.yaml", ir))
        if "argo" in targets:
            text = to_yaml(lower(read_ir(ir)), comment=_COMPILED.format(name))
            written.append(_write(folder / "argo" / f"{name}.yaml", text))
    return written


def _write(path: Path, text: str) -> Path:
    write_text(path, text)
    return path
