"""What is submitted is compiled once for all tests of this folder."""

import functools

import pytest

from vqi_pipelines import compiled, kubeflow

training_ir, for_kubeflow = functools.cache(compiled.training_ir), kubeflow.for_kubeflow
made: dict[tuple[str, str], str] = {}


def made_once(ir: str, settings: kubeflow.KubeflowSettings) -> str:
    key = ir, repr(settings)  # they hold mappings, which are no keys
    if key not in made:
        made[key] = for_kubeflow(ir, settings)
    return made[key]


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "training_ir", training_ir)
    monkeypatch.setattr(kubeflow, "for_kubeflow", made_once)
