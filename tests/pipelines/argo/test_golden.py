"""The emitted YAML: unchanged (goldens), valid for Argo's own validator, for a strict schema and for strict YAML."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipelines.argo import examples, schema
from vqi_pipelines.argo import Settings, lower, to_yaml
from vqi_pipelines.compiled import ir_of, training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.node import StrictLoader

GOLDEN = Path(__file__).with_name("golden")
MANIFESTS = Path(__file__).parents[3] / "manifests" / "argo"
each = pytest.mark.parametrize("pipeline", examples.VALID, ids=lambda pipeline: pipeline.name)


def lowered(pipeline: Any) -> str:
    return to_yaml(lower(read_ir(ir_of(pipeline))), comment="UPDATE_GOLDEN=1 writes this file again.")


@each
def test_golden(pipeline: Any) -> None:
    path, text = GOLDEN / f"{pipeline.name}.yaml", lowered(pipeline)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), "check the difference, then run with UPDATE_GOLDEN=1"


def test_bare_files_are_what_people_look_at() -> None:
    templates = [t for d in documents(GOLDEN) for t in d["spec"].get("templates", [])]
    artifacts = [a for t in templates if "container" in t for a in t.get("outputs", {}).get("artifacts", [])]
    bare = [a for a in artifacts if a["archive"] == {"none": {}}]
    assert {a["archive"]["tar"]["compressionLevel"] for a in artifacts if a not in bare} == {0}
    pages = [a for a in artifacts if a["path"].endswith((".html", ".md"))]
    assert len(artifacts) > len(bare) > 0
    assert pages
    assert all(a in bare for a in pages)


def test_no_golden_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {pipeline.name for pipeline in examples.VALID}


def documents(*folders: Path) -> list[dict[str, Any]]:
    files = [path for folder in folders for path in sorted(folder.glob("*.yaml"))]
    return [document for path in files for document in yaml.load_all(path.read_text(), StrictLoader)]


def test_all_that_is_emitted_fits_a_strict_schema() -> None:
    found = [document for document in documents(GOLDEN, MANIFESTS) if document["apiVersion"].startswith("argoproj.io")]
    assert len(found) == len(examples.VALID) + 2
    for document in found:
        assert schema.problems(document) == [], document["metadata"]["name"]


def test_argo_finds_nothing_wrong(lint: Callable[..., str]) -> None:
    assert lint(*sorted(GOLDEN.glob("*.yaml"))) == ""
    assert lint(MANIFESTS / "training.yaml", MANIFESTS / "retraining.yaml") == ""


def test_every_pod_is_restricted() -> None:
    for document in documents(GOLDEN, MANIFESTS):
        if document["kind"] != "WorkflowTemplate":
            continue
        spec = document["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        patch = yaml.load(spec["podSpecPatch"], yaml.CSafeLoader)
        own = [*patch["initContainers"], *patch["containers"]]
        assert [container["name"] for container in own] == ["init", "wait"]
        own += [template["container"] for template in spec["templates"] if "container" in template]
        for container in own:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
        for template in spec["templates"]:
            if "container" in template:
                assert template["container"]["securityContext"]["readOnlyRootFilesystem"] is True


def test_what_a_cluster_showed() -> None:
    """Each was wrong once, and no validator reports it."""
    (spec,) = (d["spec"] for d in documents(MANIFESTS) if d["kind"] == "WorkflowTemplate")
    containers = [t["container"] for t in spec["templates"] if "container" in t]
    assert len(containers) == 8
    for container in containers:
        assert container["imagePullPolicy"] == "IfNotPresent", "an image 'latest' that is on the node is not pulled"
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError", "Argo shows why a step failed"
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}, "otherwise all of the limit must be free"
    assert spec["artifactGC"] == {"strategy": "Never"}, "a failure while Argo removes artifacts would keep the run"


def test_exit_code_2_is_final() -> None:
    for document in documents(GOLDEN, MANIFESTS):
        for template in document["spec"].get("templates", []) if document["kind"] == "WorkflowTemplate" else ():
            if "retryStrategy" in template:
                expression = template["retryStrategy"]["expression"]
                assert expression in (
                    "asInt(lastRetry.exitCode) != 2",
                    "lastRetry.status == 'Error' || asInt(lastRetry.exitCode) in [-1, 75, 143]",
                )


def test_settings() -> None:
    pipeline = read_ir(training_ir())
    settings = Settings(name="Nightly Run", key_prefix="runs/", parallelism=3, infrastructure_retries=0, user=1234)
    spec = lower(pipeline, settings).model_dump(by_alias=True, exclude_none=True)["spec"]
    assert lower(pipeline, settings).metadata.name == "nightly-run"
    assert (spec["parallelism"], spec["securityContext"]["runAsUser"]) == (3, 1234)
    keys = [
        a["s3"]["key"] for t in spec["templates"] if "container" in t for a in t.get("outputs", {}).get("artifacts", [])
    ]
    assert all(key.startswith("runs/{{workflow.name}}/") for key in keys)
    assert not any("retryStrategy" in template for template in spec["templates"])
