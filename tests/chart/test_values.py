"""What the chart takes a cluster takes: whatever values, whatever the release's name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from tests.chart import helm
from tests.chart.rendering import CHART, VALUES, changed, one, refused_by_a_cluster, render
from tests.chart.values_fuzz import case
from tests.fuzz import fuzz_cases
from tests.pipelines.argo.crds import Problems

CI = sorted((CHART / "ci").glob("*-values.yaml"))


each = pytest.mark.parametrize("values_file", CI, ids=lambda path: path.stem.removesuffix("-values"))


@each
def test_the_example_values(values_file: Path) -> None:
    assert refused_by_a_cluster(render(yaml.safe_load(values_file.read_text())), None) == []


@each
def test_the_example_values_in_argos_own_schemas(values_file: Path, crd_problems: Problems) -> None:
    objects = render(yaml.safe_load(values_file.read_text()))
    argos = [document for document in objects if document["apiVersion"].startswith("argoproj.io")]
    assert [problem for document in argos for problem in crd_problems(document)] == []


def tried(values: dict[str, Any], name: str = "rel") -> tuple[str, list[dict[str, Any]]]:
    """What Helm says against values, or the objects that it renders."""
    try:
        return "", render(values, name)
    except helm.HelmError as error:
        return str(error), []


@pytest.mark.no_cover
def test_made_up_values(request: pytest.FixtureRequest) -> None:
    """Refused by the chart or taken by the schemas; by Argo's own as well, where all cases are asked for."""
    count = fuzz_cases(30, 2000)
    problems = request.getfixturevalue("crd_problems") if count > 30 else None
    bases = [yaml.safe_load(file.read_text()) for file in CI]
    taken = 0
    for seed in range(count):
        random = Random(seed)
        values, name = case(random, random.choice(bases)), random.choice(["rel", "2024.parts", "a" * 53])
        said, objects = tried(values, name)
        assert "nil pointer" not in said, (seed, values, said)
        assert refused_by_a_cluster(objects, problems) == [], (seed, values)
        taken += not said
    assert taken > count / 5, "otherwise it says little"


def places(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{path}{name}"
        if isinstance(value, dict):
            yield from places(value, f"{path}{name}.")


def test_no_value_is_null() -> None:
    """Helm takes null for "no default": the values are all there, or it is refused by name."""
    known = list(places(VALUES))
    assert len(known) > 100
    for path in Random(1).sample(known, fuzz_cases(12, len(known))):
        assert f"missing property '{path.rpartition('.')[2]}'" in tried(changed(path, None))[0], path


NAMES = ("rel", "null", "1e3", "2024", "parts.v2", "parts-v2", "a" * 40, "a" * 41, "a" * 52 + "b", "a" * 52 + "c")


def test_names_of_releases() -> None:
    """Helm allows what a Service may not be called: a digit first, dots, 53 characters."""
    used: set[str] = set()
    for release in NAMES:
        objects = render({"seaweedfs": {"enabled": True}, "schedule": {"enabled": True}}, name=release)
        assert refused_by_a_cluster(objects, None) == []
        name = one(objects, "Service")["metadata"]["name"].removesuffix("-seaweedfs")
        assert re.fullmatch("[a-z]([-a-z0-9]{0,38}[a-z0-9])?", name), name
        assert name == release or len(release) > 40 or not release.replace("-", "").isalpha()
        used.add(name)
    assert len(used) == len(NAMES), "no two releases share a name"
