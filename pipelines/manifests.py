"""The compiled pipeline for the other backends, as the files in ``manifests/``; also users' own pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vqi.errors import VqiError
from vqi.system.atomic import write_text
from vqi_pipelines.argo import Schedule, cron_workflow, lower, to_yaml
from vqi_pipelines.argo.access import access_objects
from vqi_pipelines.argo.notes import left_out
from vqi_pipelines.argo.workflow import DEFAULT_SETTINGS
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.definition import defined_in
from vqi_pipelines.ir import read_ir
from vqi_pipelines.kubeflow import KubeflowSettings, for_kubeflow

TARGETS = ("kubeflow", "argo")
TRAINING_TARGETS = (*TARGETS, "local")  # the container images run the pipeline as it was compiled for this machine
DEFAULT_KUBEFLOW = KubeflowSettings()
# The schedule that is written next to the training pipeline; it is off until a user turns it on.
RETRAINING = Schedule("retraining", ["0 3 * * 1"], suspended=True)
_COMPILED = "Compiled by 'vqi compile' from the pipeline '{}': change that instead."


def write_manifests(
    folder: Path, targets: Sequence[str] = TRAINING_TARGETS, kubeflow: KubeflowSettings = DEFAULT_KUBEFLOW
) -> list[Path]:
    """Write the compiled forms of the training pipeline, with the objects that it needs; returns their paths."""
    ir = training_ir()
    files = {"local/training.yaml": ir} if "local" in targets else {}
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


@dataclass(frozen=True)
class Written:
    """What was written, and what was left out of it because the target has nothing like it."""

    paths: list[Path]
    notes: list[str]


def write_other(file: Path, folder: Path, targets: Sequence[str]) -> Written:
    """Compile the pipelines that a file defines; nothing is written unless all of them can be.

    Raises:
        VqiError: The file cannot be imported or defines no pipeline, a pipeline cannot be lowered, or two would be one
            file or one WorkflowTemplate.
    """
    files: dict[str, str] = {}
    labels: dict[str, str] = {}
    notes: list[str] = []
    for one in defined_in(file):
        files |= {f"{target}/{one.name}.yaml": one.ir for target in ("kubeflow", "local") if target in targets}
        if "argo" in targets:
            pipeline = read_ir(one.ir)
            template = lower(pipeline)
            label = template.metadata.name if template.metadata and template.metadata.name else one.name
            if label in labels:
                raise VqiError(
                    f"{file}: the pipelines '{labels[label]}' and '{one.name}' are both '{label}' in Argo: rename one"
                )
            labels[label] = one.name
            files[f"argo/{one.name}.yaml"] = to_yaml(template, comment=_COMPILED.format(one.name))
            notes += left_out(pipeline)
    return Written([_write(folder / name, text) for name, text in files.items()], notes)


def _write(path: Path, text: str) -> Path:
    write_text(path, text)
    return path
