"""A rendered release, and what a cluster would refuse of it."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate.utils
import referencing
import yaml
from jsonschema import Draft202012Validator

from tests.chart import helm
from tests.pipelines.argo import schema
from tests.pipelines.argo.crds import Problems
from vqi_pipelines.ir.node import StrictLoader

CHART = Path(__file__).parents[2] / "chart"
KUBERNETES = "1.33.0"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
LEAST = yaml.safe_load((CHART / "ci" / "external-s3-values.yaml").read_text())
OTHERS = ("monitoring.coreos.com/", "serving.kserve.io/")  # the groups of objects that others define
OWN_STORE = {"seaweedfs": {"enabled": True}}


def render(values: dict[str, Any], name: str = "rel", namespace: str = "ml") -> list[dict[str, Any]]:
    """The objects of a release, read by a loader that refuses a duplicate key."""
    files = helm.render(str(CHART), values, name, namespace)
    texts = [text for path, text in files.items() if not path.endswith("NOTES.txt")]
    return [one for text in texts for one in yaml.load_all(text, StrictLoader) if one]


def one(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [document for document in objects if document["kind"] == kind]
    return found


def template(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(t for t in one(objects, "WorkflowTemplate")["spec"]["templates"] if t["name"] == name)


def changed(path: str, value: Any, values: dict[str, Any] = LEAST) -> dict[str, Any]:
    """Values with another one at a place, such as ``store.uri``."""
    copied = json.loads(json.dumps(values))
    *parents, last = path.split(".")
    inner = copied
    for key in parents:
        inner = inner.setdefault(key, {})
    inner[last] = value
    return copied


def refused_by_a_cluster(objects: list[dict[str, Any]], crd_problems: Problems | None) -> list[str]:
    """What does not fit the schemas of Kubernetes and, where they are there, the CRDs; also in each step's pod."""
    names = [(document["kind"], document["metadata"]["name"]) for document in objects]
    found = [f"twice: {name}" for name in names if names.count(name) > 1]
    for document in objects:
        if document["apiVersion"].startswith(OTHERS):
            continue  # their CRDs are a test's of its own
        if not document["apiVersion"].startswith("argoproj.io"):
            found += _core_problems(document)
        elif document["kind"] == "WorkflowTemplate":
            found += schema.problems(document) + [problem for pod in _pods(document) for problem in _core_problems(pod)]
            found += crd_problems(document) if crd_problems else []
        else:
            found += schema.problems(document) + (crd_problems(document) if crd_problems else [])
    return found


def _pods(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The pods of the steps as Argo makes them, as far as the values reach: with the patch, before its own volumes."""
    spec = document["spec"]
    (patch,) = yaml.load_all(spec["podSpecPatch"], StrictLoader)
    pods = []
    for step in (one for one in spec["templates"] if "container" in one):
        own = {name: [{**one, "image": "argoexec"} for one in patch[name]] for name in ("containers", "initContainers")}
        pod = {
            "containers": [{**step["container"], "name": "main"}, *own["containers"]],
            "initContainers": own["initContainers"],
            "volumes": [*spec["volumes"], *step.get("volumes", [])],
            **{key: value for key, value in patch.items() if key not in own},
            **{key: spec[key] for key in ("affinity", "imagePullSecrets", "securityContext") if key in spec},
            **{key: step[key] for key in ("nodeSelector", "tolerations") if key in step},
        }
        metadata = {"name": step["name"], **spec["podMetadata"]}
        pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})
    return pods


def _core_problems(document: dict[str, Any]) -> list[str]:
    place = f"{document['kind']} {document['metadata']['name']}"
    group = re.sub(r"^([^./]*)(\.[^/]*)?/", r"\1-", document["apiVersion"])  # rbac.authorization.k8s.io/v1 -> rbac-v1
    errors = _validator(f"{document['kind'].lower()}-{group}.json").iter_errors(document)
    found = [f"{place}: {'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in errors]
    return found + [f"{place}: {twice}" for twice in _twice(document.get("spec", {}))]


@cache
def _validator(name: str) -> Draft202012Validator:
    """The validator that ``kubernetes_validate`` makes for each document, made once."""
    read = kubernetes_validate.utils.schema_contents
    folder = f"kubernetes-json-schema/v{KUBERNETES}-local-strict"
    known = referencing.Resource.from_contents(read(f"{folder}/_definitions.json", KUBERNETES))
    own = read(f"{folder}/{name}", KUBERNETES)
    registry = known @ (referencing.Resource.from_contents(own) @ referencing.Registry())
    return Draft202012Validator(own, registry=registry)


def _twice(pod: dict[str, Any]) -> list[str]:
    """What may be in a list of a pod only once, which no schema says."""
    lists = [("volumes", "name", pod.get("volumes", []))]
    for container in pod.get("containers", []):
        lists += [
            (f"{container['name']}: {key}", by, container.get(key, []))
            for key, by in (("env", "name"), ("volumeMounts", "mountPath"))
        ]
    return [
        f"{place}: '{value}' twice"
        for place, by, entries in lists
        for value in {entry[by] for entry in entries if [other[by] for other in entries].count(entry[by]) > 1}
    ]
