"""What is emitted is what Argo's CRDs take, and what the validator is for: it refuses what they refuse."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipelines.argo.crds import VERSIONS, Problems

MANIFESTS = Path(__file__).parents[3] / "manifests" / "argo"
EMITTED = sorted((*MANIFESTS.glob("*.yaml"), *(Path(__file__).parent / "golden").glob("*.yaml")))


def objects_of(file: Path) -> list[dict[str, Any]]:
    documents = yaml.safe_load_all(file.read_text())
    return [one for one in documents if one and one["apiVersion"].startswith("argoproj.io")]


@pytest.mark.parametrize("file", EMITTED, ids=lambda file: file.stem)
def test_what_is_emitted(file: Path, crd_problems: Problems) -> None:
    assert [problem for one in objects_of(file) for problem in crd_problems(one)] == []


def test_that_it_refuses(crd_problems: Problems) -> None:
    """A schema, an unknown field, a limit, a rule in CEL and a name; each version on its own."""
    (template,) = objects_of(MANIFESTS / "training.yaml")
    (schedule,) = objects_of(MANIFESTS / "retraining.yaml")

    def said(document: dict[str, Any], *path: Any, value: Any) -> list[str]:
        changed = copy.deepcopy(document)
        inner: Any = changed
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        return crd_problems(changed)

    old, new = VERSIONS
    for version, problem in zip(VERSIONS, said(template, "spec", "parallelism", value="x"), strict=True):
        assert problem.startswith(f"{version}: spec.parallelism: Invalid value")
    assert said(template, "spec", "paralelism", value=1) == [
        f"{one}: unknown field spec.paralelism" for one in VERSIONS
    ]
    assert any("metadata.name" in problem for problem in said(template, "metadata", "name", value="A b"))
    many = [{"name": f"t{number}", "suspend": {}} for number in range(201)]
    (problem,) = said(template, "spec", "templates", value=many)
    assert problem == f"{new}: spec.templates: Too many: 201: must have at most 200 items"
    tasks = [{"name": "1", "template": "x", "depends": "y"}]
    assert any(
        "cannot begin with a digit" in p for p in said(template, "spec", "templates", 0, "dag", "tasks", value=tasks)
    )
    (problem,) = said(schedule, "spec", "schedules", value=["0 3 * * mon"])
    assert problem.startswith(f"{new}: spec.schedules[0]: Invalid value")
    assert all(problem.startswith((old, new)) for problem in crd_problems("0 3 * * 5-1"))
    assert crd_problems("0 0 30 2 *") == [f"{version}: never comes" for version in VERSIONS]
    assert crd_problems("0 0 29 2 *") == []
