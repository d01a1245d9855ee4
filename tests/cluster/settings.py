"""What the tests on a cluster are given, and what they give to what they start."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.programs import run
from vqi import __version__

CHART = Path(__file__).parents[2] / "chart"
REGISTRY, TAG = os.environ.get("VQI_TEST_REGISTRY", ""), os.environ.get("VQI_TEST_TAG", __version__)
STEPS = yaml.safe_load((CHART / "values.yaml").read_text())["steps"]
# Small requests, so that several runs fit on a small node at the same time.
SMALL = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "3Gi"}}
FAST = {"image_size": 64, "engine": "eager", "precision": "fp32", "target_fpr": 0.1, "folds": 4}
PARAMETERS = {"source": "folder:s3://photographs/parts", "categories": ["bracket", "fabric"], "finetune": {}, **FAST}


def missing() -> str:
    """Why there is no cluster to test on; empty where there is one."""
    if not os.environ.get("VQI_TEST_CLUSTER"):
        return "installs things into a cluster: 'make test-cluster' runs it"
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG is not set: it says which cluster"
    absent = [program for program in ("kubectl", "helm", "argo") if not shutil.which(program)]
    if absent:
        return f"no {absent[0]} on the path"
    answer = run("kubectl", "get", "--raw", "/readyz", check=False)
    return "" if answer == "ok" else f"the cluster does not answer: {answer.strip()}"


def values_of(**more: Any) -> dict[str, Any]:
    """Values for a small node, and more."""
    steps = {name: {"resources": SMALL} for name in STEPS}
    return {"image": {"registry": REGISTRY, "tag": TAG}, "steps": steps, **more}


def own_store(label: str) -> dict[str, Any]:
    """The values of a release with an object store of its own."""
    return {"seaweedfs": {"enabled": True, "volumeLabels": {"vqi-test": label} if label else {}}}


def one_category(**changes: Any) -> list[str]:
    """The flags of a run on one category, one per parameter."""
    given = PARAMETERS | {"categories": ["bracket"]} | changes
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    return [flag for name, text in texts.items() for flag in ("-p", f"{name}={text}")]


def vqi(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command as a user types it."""
    command = [str(Path(sys.executable).with_name("vqi")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


def image(name: str) -> str:
    return f"{REGISTRY}/{name}:{TAG}" if REGISTRY else f"{name}:{TAG}"
