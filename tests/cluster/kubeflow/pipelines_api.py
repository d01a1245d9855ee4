"""Runs on a real Kubeflow Pipelines, as its client and ML Metadata show them."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import kfp

from tests.cluster.programs import until

READER = Path(__file__).with_name("read_metadata.py")
ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
SECONDS = 900  # a whole run on a small machine that is busy with other things too


@dataclass(frozen=True)
class Artifact:
    """An artifact that ML Metadata knows."""

    type: str
    uri: str
    properties: dict[str, Any]

    @property
    def name(self) -> str:
        """As the step declares it."""
        return self.uri.rsplit("/", 1)[1]

    @property
    def folder(self) -> str:
        """Where all artifacts of its step are stored."""
        return self.uri.rsplit("/", 1)[0]


@dataclass(frozen=True)
class Execution:
    """A step, a graph or an iteration that ML Metadata knows."""

    task: str
    state: str
    properties: list[str]
    began: float  # seconds
    ended: float


@dataclass(frozen=True)
class Run:
    """A run that has ended."""

    id: str
    state: str
    metadata_address: str

    @cached_property
    def _kept(self) -> dict[str, Any]:
        python = os.environ["VQI_TEST_MLMD_PYTHON"]
        command = [python, str(READER), self.metadata_address, self.id]
        return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=120).stdout))

    @property
    def artifacts(self) -> list[Artifact]:
        """What its steps wrote, including cached steps."""
        return [Artifact(**one) for one in self._kept["artifacts"]]

    @property
    def executions(self) -> list[Execution]:
        """All steps, graphs and iterations."""
        return [Execution(**one) for one in self._kept["executions"]]

    def steps(self, task: str = "") -> list[Execution]:
        """The steps, those of one name or all."""
        return [one for one in self.executions if one.task in STEPS and task in ("", one.task)]

    def artifact(self, name: str, category: str = "") -> Artifact:
        """The artifact of a name, and of a category where one is given."""
        found = [one for one in self.artifacts if one.name == name]
        if category:
            found = [one for one in found if one.properties.get("category") == category]
        assert len({one.uri for one in found}) == 1, (name, category, found)
        return found[0]


STEPS = (
    "dataset-download", "preprocess", "ssl-finetune", "feature-extract", "pca-fit", "evaluate", "publish", "summarize",
)  # fmt: skip


def ended(client: kfp.Client, run_id: str, metadata_address: str, seconds: float = SECONDS) -> Run:
    """A run, once it has ended."""

    def look() -> str | None:
        state = client.get_run(run_id).state
        return state if state in ENDED else None

    return Run(run_id, until(f"the end of run {run_id}", look, seconds), metadata_address)
