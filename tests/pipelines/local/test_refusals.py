"""What a step asks of a cluster: read from the pipeline's second document, and reported on one machine if it is missing."""

from typing import Any

import pytest
import yaml
from kfp import dsl, kubernetes

from tests.pipelines.argo.examples import hello, placed
from vqi.errors import VqiError
from vqi_pipelines.compiled import ir_of
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.graph import Claim, KeptValue, PodSettings, Toleration
from vqi_pipelines.local.refusals import check_runs_here

EXECUTOR = "platforms/kubernetes/deploymentSpec/executors/exec-hello"


def pod(text: str) -> PodSettings:
    container = read_ir(text).components["comp-hello"].container
    assert container is not None
    return container.pod


def test_all_settings_are_read() -> None:
    settings = pod(ir_of(placed))
    assert settings.node_selector == {"feature.node.kubernetes.io/cpu-cpuid.AMXBF16": "true"}
    assert settings.tolerations == (
        Toleration("dedicated", "Equal", "ml", "NoSchedule"),
        Toleration(operator="Exists", effect="NoExecute", seconds=60),
    )
    assert settings.env == (
        KeptValue("API_TOKEN", "Secret", "keys", "token"),
        KeptValue("HTTPS_PROXY", "ConfigMap", "places", "proxy"),
    )
    assert settings.claims == (Claim("data", "/data"),)
    assert (settings.pull_policy, settings.deadline_seconds) == ("IfNotPresent", 600)
    assert (settings.labels, settings.annotations) == ({"team": "quality"}, {"note": "x"})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (f"{EXECUTOR}/emptyDirMounts", [{}], r"exec-hello\.emptyDirMounts: "),
        (f"{EXECUTOR}/imagePullPolicy", "Sometimes", r"imagePullPolicy: expected one of Always, IfNotPresent, Never"),
        (
            f"{EXECUTOR}/activeDeadlineSeconds",
            "soon",
            r"activeDeadlineSeconds: expected whole seconds from 1 to 2147483647, got 'soon'",
        ),
        (f"{EXECUTOR}/tolerations", [{"tolerationJson": {}}], r"tolerations\[0\]\.tolerationJson: a toleration from a"),
        (f"{EXECUTOR}/secretAsEnv", [{"keyToEnv": []}], r"secretAsEnv\[0\]\.secretName: expected a name, got nothing"),
        (
            f"{EXECUTOR}/secretAsEnv/0/secretName",
            "other",
            r"secretAsEnv\[0\]\.secretName: expected a name, got keys and other",
        ),
        ("platforms/kubernetes/deploymentSpec/executors/exec-nope", {"imagePullPolicy": "Never"}, "no such container"),
        ("platforms", {"other": {}}, r"platforms\.kubernetes: expected settings for Kubernetes, got"),
    ],
)
def test_refused_with_its_place(path: str, value: Any, message: str) -> None:
    spec, platforms = yaml.load_all(ir_of(placed), yaml.CSafeLoader)
    *parents, last = path.split("/")
    inner = platforms
    for key in parents:
        inner = inner[int(key) if isinstance(inner, list) else key]
    inner[last] = value
    with pytest.raises(VqiError, match=message):
        read_ir(yaml.safe_dump_all([spec, platforms]))


def with_secret(optional: bool) -> str:
    @dsl.pipeline(name="kept")
    def kept():
        kubernetes.use_secret_as_env(hello(), "keys", {"token": "API_TOKEN"}, optional=optional)

    return ir_of(kept)


def test_what_a_secret_holds_comes_from_the_environment() -> None:
    with pytest.raises(VqiError, match="comp-hello: API_TOKEN is not set: set it to what the Secret 'keys' holds"):
        check_runs_here(read_ir(with_secret(optional=False)), {})
    check_runs_here(read_ir(with_secret(optional=False)), {"API_TOKEN": "x"})
    check_runs_here(read_ir(with_secret(optional=True)), {})


def test_a_claim_is_only_to_be_had_on_a_cluster() -> None:
    with pytest.raises(VqiError, match="the PersistentVolumeClaim 'data' is available only on a cluster"):
        check_runs_here(read_ir(ir_of(placed)), {"API_TOKEN": "x", "HTTPS_PROXY": "x"})
