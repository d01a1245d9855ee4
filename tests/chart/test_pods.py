"""What values put into the pods of the runs, and into the containers that Argo adds to them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.chart import helm
from tests.chart.rendering import LEAST, OWN_STORE, one, refused_by_a_cluster, render

KEPT = {"name": "kept", "configMap": {"name": "settings"}}


def steps(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    spec = one(objects, "WorkflowTemplate")["spec"]
    return [template_["container"] for template_ in spec["templates"] if "container" in template_]


def argos(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Argo's own containers, as the pods' patch changes them."""
    patch = yaml.safe_load(one(objects, "WorkflowTemplate")["spec"]["podSpecPatch"])
    found = [*patch["initContainers"], *patch["containers"]]
    assert [container["name"] for container in found] == ["init", "wait"]
    assert all(container["securityContext"] for container in found), "what the pipeline's patch says stays"
    return found


def variables(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container.get("env", [])}


def test_variables_volumes_and_annotations() -> None:
    mount = {"name": "kept", "mountPath": "/settings", "readOnly": True}
    values = {
        "extraEnv": [{"name": "AWS_REGION", "value": "eu-central-1"}, {"name": "MORE", "value": "x"}],
        "extraVolumes": [KEPT],
        "extraVolumeMounts": [mount],
        "podAnnotations": {"example.com/team": "quality"},
    }
    objects = render(LEAST | values)
    assert refused_by_a_cluster(objects, None) == []
    spec = one(objects, "WorkflowTemplate")["spec"]
    assert spec["podMetadata"]["annotations"] == {"example.com/team": "quality"}
    assert KEPT in spec["volumes"]
    for container in steps(objects):
        assert mount in container["volumeMounts"]
        assert variables(container)["AWS_REGION"] == "eu-central-1", "instead of the Secret's"
        assert variables(container)["MORE"] == "x"
        assert variables(container)["HOME"] == "/tmp"


def test_a_certificate_authority_is_trusted_everywhere() -> None:
    objects = render(LEAST | {"ca": {"configMap": "authorities", "secret": "", "key": "bundle.pem"}})
    assert refused_by_a_cluster(objects, None) == []
    spec = one(objects, "WorkflowTemplate")["spec"]
    items = [{"key": "bundle.pem", "path": "ca.crt"}]
    assert {"name": "ca", "configMap": {"name": "authorities", "items": items}} in spec["volumes"]
    for container in steps(objects) + argos(objects):
        assert variables(container)["SSL_CERT_FILE"] == "/etc/vqi-ca/ca.crt"
        assert {"name": "ca", "mountPath": "/etc/vqi-ca", "readOnly": True} in container["volumeMounts"]
    secret = one(render(LEAST | {"ca": {"secret": "authorities"}}), "WorkflowTemplate")["spec"]["volumes"]
    assert secret[-1]["secret"]["secretName"] == "authorities"


def test_proxies_reach_argos_own_containers() -> None:
    """They ask the Kubernetes API directly: a proxy would not know its address."""
    values = {"proxy": {"https": "http://proxy.example.com:3128", "noProxy": "s3.example.com"}}
    objects = render(OWN_STORE | values)
    assert refused_by_a_cluster(objects, None) == []
    direct = "s3.example.com,rel-seaweedfs.ml.svc"
    for container in steps(objects):
        assert variables(container)["NO_PROXY"] == direct
    for container in argos(objects):
        assert variables(container)["HTTPS_PROXY"] == "http://proxy.example.com:3128"
        assert variables(container)["NO_PROXY"] == "s3.example.com,$(KUBERNETES_SERVICE_HOST),rel-seaweedfs.ml.svc"
        assert "HTTP_PROXY" not in variables(container)


def test_a_proxys_login_comes_from_a_secret() -> None:
    objects = render(LEAST | {"proxy": {"existingSecret": "proxy"}})
    assert refused_by_a_cluster(objects, None) == []
    for container in steps(objects) + argos(objects):
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            assert variables(container)[name] == {"secretKeyRef": {"name": "proxy", "key": name, "optional": True}}
    assert all(variables(container)["NO_PROXY"] == "$(KUBERNETES_SERVICE_HOST)" for container in argos(objects))


def test_a_service_account_with_credentials_of_its_own() -> None:
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/vqi"}
    store = {"uri": "s3://vqi", "endpoint": "https://s3.example.com", "useSDKCreds": True}
    values = {
        "store": store,
        "serviceAccount": {"annotations": role},
        "artifactRepository": LEAST["artifactRepository"],
    }
    objects = render(values)
    assert refused_by_a_cluster(objects, None) == []
    assert role.items() <= one(objects, "ServiceAccount")["metadata"]["annotations"].items()
    (secret,) = [o for o in objects if o["metadata"]["name"] == "rel-store"]
    assert secret["stringData"].keys() == {"VQI_STORE", "VQI_S3_ENDPOINT", "AWS_REGION"}
    repository = yaml.safe_load(one(objects, "ConfigMap")["data"]["store"])["s3"]
    assert repository["useSDKCreds"] is True
    assert not {"accessKeySecret", "secretKeySecret"} & repository.keys()
    keys = [entry for step in steps(objects) for entry in step["env"] if entry["name"].startswith("AWS_")]
    assert all(entry["valueFrom"]["secretKeyRef"]["optional"] for entry in keys), "what is not in the Secret is not set"


USED = (
    "/tmp",
    "/tmp/x",
    "/outputs",
    "/inputs",
    "/argo",
    "/var/run",
    "/var",
    "/usr/lib",
    "/opt/vqi/lib",
    "/opt",
    "/etc",
    "/etc/vqi-ca",
)


@pytest.mark.parametrize("path", USED)
def test_no_mount_over_what_a_step_needs(path: str) -> None:
    ca = {"ca": {"secret": "x"}}
    with pytest.raises(helm.HelmError, match=r"dataset\.mountPath: expected a folder that the steps do not use"):
        render(LEAST | ca | {"dataset": {"claim": "photographs", "mountPath": path}})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"extraEnv": [{"name": "A", "value": "{{x}}"}]}, "extraEnv contains '{{'"),
        ({"podAnnotations": {"a": "{{x}}"}}, "podAnnotations contains '{{'"),
        ({"extraEnv": [{"name": "A"}, {"name": "A"}]}, "extraEnv: expected another name than 'A'"),
        ({"extraVolumes": [KEPT, KEPT]}, "extraVolumes: expected another name than 'kept'"),
        ({"extraVolumes": [{**KEPT, "name": "outputs"}]}, "extraVolumes: expected another name than 'outputs'"),
        (
            {"extraVolumeMounts": [{"name": "x", "mountPath": "/x"}]},
            "expected the name of one of extraVolumes, got 'x'",
        ),
        (
            {"extraVolumes": [KEPT], "extraVolumeMounts": [{"name": "kept", "mountPath": "/tmp"}]},
            "extraVolumeMounts: expected a folder that the steps do not use, such as /data; got '/tmp'",
        ),
        (
            {"extraVolumes": [KEPT], "extraVolumeMounts": [{"name": "kept", "mountPath": "/x"}] * 2},
            "extraVolumeMounts: expected a folder that the steps do not use, such as /data; got '/x'",
        ),
    ],
)
def test_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(helm.HelmError, match=said):
        render(LEAST | values)
