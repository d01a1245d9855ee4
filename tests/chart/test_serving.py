"""With serving.enabled: pods that serve models, restricted, that read the store and nothing else; by KServe as well."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.chart import helm
from tests.chart.rendering import CHART, LEAST, OTHERS, OWN_STORE, VALUES, one, refused_by_a_cluster, render
from tests.pipelines.argo.crds import Problems
from vqi.sinks.interface import VARIABLES as VARIABLES_OF_SINKS
from vqi.store.opening import VARIABLES

PUBLISHED = yaml.safe_load((CHART / "ci" / "serving-values.yaml").read_text())
KSERVE = yaml.safe_load((CHART / "ci" / "kserve-values.yaml").read_text())
ITS_KINDS = {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"}

Object = dict[str, Any]


def on(**serving: Any) -> Object:
    """The least values with models that are served."""
    return LEAST | {"serving": {"enabled": True} | serving}


def serving_of(values: Object) -> dict[str, Object]:
    """The objects of what serves, by their kind, which a cluster takes."""
    objects = render(values)
    assert refused_by_a_cluster(objects, None) == []
    return {o["kind"]: o for o in objects if o["metadata"]["name"] == "rel-serving"}


def pod_of(found: dict[str, Object]) -> Object:
    """The spec of its pods."""
    if "Deployment" in found:
        return dict(found["Deployment"]["spec"]["template"]["spec"])
    return dict(found["InferenceService"]["spec"]["predictor"])


def container_of(values: Object) -> Object:
    (container,) = pod_of(serving_of(values))["containers"]
    return dict(container)


def test_it_is_off_by_default() -> None:
    assert serving_of(LEAST) == {}
    assert serving_of(on()).keys() == ITS_KINDS


def test_the_pods_are_restricted_and_belong_to_the_service() -> None:
    found = serving_of(PUBLISHED)
    assert found.keys() == {*ITS_KINDS, "Ingress", "NetworkPolicy", "ServiceMonitor"}
    pod = pod_of(found)
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert "serviceAccountName" not in pod
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
    (container,) = pod["containers"]
    security = container["securityContext"]
    assert (security["readOnlyRootFilesystem"], security["allowPrivilegeEscalation"]) == (True, False)
    assert (security["capabilities"], security["seccompProfile"]) == ({"drop": ["ALL"]}, {"type": "RuntimeDefault"})
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector == labels
    runs = one(render(PUBLISHED), "WorkflowTemplate")["spec"]["podMetadata"]["labels"]
    assert not runs.items() <= labels.items(), "what selects the pods of the runs does not select these"


def test_probes_and_the_end() -> None:
    """Nothing is lost when a pod is replaced: the new one is ready first, and the old one answers until nobody asks."""
    found = serving_of(on(timeout=10))
    pod = pod_of(found)
    (container,) = pod["containers"]
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/readyz", "readiness": "/readyz", "liveness": "/healthz"}
    assert found["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    waits = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > waits + 2 * 10 + 1, "as long as vqi serve may take to end"


def test_what_is_served_is_what_the_command_is_told() -> None:
    command = container_of(PUBLISHED)["args"]
    assert command[:4] == ["vqi", "serve", "$(VQI_STORE)/models/parts/bracket", "s3://others/models/parts/fabric/v3"]
    command.remove("--digest-only")
    options = dict(zip(command[4::2], command[5::2], strict=True))
    assert options.pop("--host") == "0.0.0.0"  # noqa: S104 - of a pod
    numbers = {"--port": "8000", "--reload": "2.5", "--queue": "32", "--max-bytes": "33554432", "--timeout": "30"}
    kept = {"--verdicts": "$(VQI_STORE)"}
    sent = {
        "--sink": "mqtts://broker.example.com/line4/parts",
        "--sink-queue": "/var/lib/vqi/queue",
        "--sink-limit": "500",
    }
    assert options == numbers | kept | sent
    assert container_of(on())["args"][:3] == ["vqi", "serve", "$(VQI_STORE)"], "all of the store"


def test_the_options_are_those_of_the_command() -> None:
    from vqi_pipelines.commands.serve import serve

    known = {name for parameter in serve.params for name in parameter.opts}
    assert {word for word in container_of(PUBLISHED)["args"] if word.startswith("--")} <= known
    defaults = {parameter.name: parameter.default for parameter in serve.params}
    of_values = VALUES["serving"]
    assert [of_values[name] for name in ("reload", "queue", "maxBytes", "timeout")] == [
        defaults[name] for name in ("reload", "queue", "max_bytes", "timeout")
    ]
    assert of_values["sink"]["limit"] == defaults["sink_limit"]


def test_answers_are_kept_where_that_is_asked_for() -> None:
    assert not {"--verdicts", "--digest-only"} & {*container_of(on())["args"]}
    args = container_of(on(verdicts={"enabled": True}))["args"]
    assert args[args.index("--verdicts") + 1] == "$(VQI_STORE)"
    assert "--digest-only" not in args
    assert serving_of(PUBLISHED)["Service"]["spec"]["sessionAffinity"] == "ClientIP"
    assert "sessionAffinity" not in serving_of(on())["Service"]["spec"]


def test_rows_wait_for_the_sink_beside_the_container() -> None:
    pod = pod_of(serving_of(PUBLISHED))
    (container,) = pod["containers"]
    (mounted,) = [one["mountPath"] for one in container["volumeMounts"] if one["name"] == "queue"]
    assert mounted == container["args"][container["args"].index("--sink-queue") + 1]
    assert "emptyDir" in next(one for one in pod["volumes"] if one["name"] == "queue")
    told = {v["name"]: v["valueFrom"]["secretKeyRef"] for v in container["env"] if v["name"].startswith("VQI_SINK")}
    assert told.keys() == {VARIABLES_OF_SINKS[name] for name in ("user", "password", "token")}
    assert all(ref == {"name": "vqi-sink", "key": name, "optional": True} for name, ref in told.items())
    assert "queue" not in str(pod_of(serving_of(on()))["volumes"])


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("mqtt://broker/parts", 1883), ("mqtts://broker/parts", 8883), ("mqtts://broker:42/parts", 42),
        ("https://mes/parts?a=b:7", 443), ("http://mes:8080/parts:99", 8080),
    ],
)  # fmt: skip
def test_the_sink_can_be_reached(address: str, port: int) -> None:
    values = on(sink={"address": address}) | {"networkPolicy": {"enabled": True}}
    rules = serving_of(values)["NetworkPolicy"]["spec"]["egress"]
    assert rules[-1]["ports"] == [{"port": port, "protocol": "TCP"}]


@pytest.mark.parametrize(
    "sink",
    [
        {"address": "mqtt://broker"}, {"address": "mqtt://broker/parts/+"}, {"address": "https://me:secret@host/parts"},
        {"address": "ftp://host"}, {"address": "https://host/$(VQI_STORE)"}, {"limit": 0}, {"existingSecret": "login"},
    ],
)  # fmt: skip
def test_what_is_no_sink(sink: Object) -> None:
    with pytest.raises(helm.HelmError, match=r"serving.sink|/serving/sink"):
        render(on(sink=sink))


def test_the_store_is_told_by_a_secret_which_may_be_its_own() -> None:
    for values, secret in ((PUBLISHED, "readers"), (on(), "rel-store"), (KSERVE, "our-store")):
        variables = {v["name"]: v.get("valueFrom", {}).get("secretKeyRef") for v in container_of(values)["env"]}
        assert set(VARIABLES) <= variables.keys()
        assert {variables[name]["name"] for name in VARIABLES} == {secret}
        assert "optional" not in variables["VQI_STORE"], "without it, its name would stay in the arguments"


def test_a_token_is_asked_for_by_the_pods_and_sent_by_prometheus() -> None:
    found = serving_of(PUBLISHED)
    (container,) = pod_of(found)["containers"]
    (token,) = [v["valueFrom"]["secretKeyRef"] for v in container["env"] if v["name"] == "VQI_TOKEN"]
    (endpoint,) = found["ServiceMonitor"]["spec"]["endpoints"]
    assert endpoint["authorization"] == {"type": "Bearer", "credentials": token}
    assert endpoint["port"] == found["Service"]["spec"]["ports"][0]["name"]
    labels = found["Service"]["metadata"]["labels"]
    assert found["ServiceMonitor"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    open_ = serving_of(on(serviceMonitor={"enabled": True}))
    assert "authorization" not in open_["ServiceMonitor"]["spec"]["endpoints"][0]
    assert "VQI_TOKEN" not in {v["name"] for v in pod_of(open_)["containers"][0]["env"]}


def test_certificates_and_a_proxy_reach_it_too() -> None:
    assert {"name": "ca", "mountPath": "/etc/vqi-ca", "readOnly": True} in container_of(PUBLISHED)["volumeMounts"]
    values = on() | {"proxy": {"https": "http://proxy.example.com:3128"}}
    assert {"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"} in container_of(values)["env"]


def test_the_number_of_pods() -> None:
    found = serving_of(PUBLISHED)
    assert "replicas" not in found["Deployment"]["spec"], "the autoscaler says it"
    spec = found["HorizontalPodAutoscaler"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 6)
    assert spec["scaleTargetRef"]["name"] == found["Deployment"]["metadata"]["name"]
    fixed = serving_of(on(replicas={"min": 2, "max": 2}))
    assert "HorizontalPodAutoscaler" not in fixed
    assert fixed["Deployment"]["spec"]["replicas"] == 2


def test_an_ingress_reaches_the_service() -> None:
    spec = serving_of(PUBLISHED)["Ingress"]["spec"]
    (rule,) = spec["rules"]
    assert rule["host"] == spec["tls"][0]["hosts"][0] == "vqi.example.com"
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "rel-serving", "port": {"name": "http"}}


def test_a_closed_network_lets_it_read_the_store_and_answer() -> None:
    closed = on() | OWN_STORE | {"networkPolicy": {"enabled": True}, "store": {}, "artifactRepository": {}}
    objects = render(closed)
    assert refused_by_a_cluster(objects, None) == []
    found = {o["metadata"]["name"]: o["spec"] for o in objects if o["kind"] == "NetworkPolicy"}
    own, store = found["rel-serving"], found["rel-seaweedfs"]
    assert own["ingress"] == [{"ports": [{"port": 8000, "protocol": "TCP"}]}], "anyone"
    assert [[port["port"] for port in rule["ports"]] for rule in own["egress"]] == [[53, 53], [8333]]
    assert own["egress"][1]["to"] == [{"podSelector": store["podSelector"]}]
    assert {"podSelector": own["podSelector"]} in store["ingress"][0]["from"]
    some = serving_of(PUBLISHED)["NetworkPolicy"]["spec"]
    assert some["ingress"][0]["from"] == PUBLISHED["networkPolicy"]["servingClients"]


def test_credentials_of_a_service_account() -> None:
    store = {"uri": "s3://vqi", "endpoint": "https://s3.example.com", "useSDKCreds": True}
    values = {"store": store, "artifactRepository": LEAST["artifactRepository"], "serving": {"enabled": True}}
    assert pod_of(serving_of(values))["serviceAccountName"] == "rel"
    own = on(serviceAccount="reader")
    assert pod_of(serving_of(own))["serviceAccountName"] == "reader"


def test_kserve_has_the_same_pod_instead() -> None:
    found = serving_of(KSERVE)
    assert found.keys() == {"InferenceService"}
    predictor = found["InferenceService"]["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (1, 2)
    (container,) = predictor["containers"]
    assert (container["name"], container["image"].partition(":")[0]) == ("kserve-container", "vqi-serve")
    assert container["args"][:3] == ["vqi", "serve", "$(VQI_STORE)/exported/bracket/model.xml"]
    deployed = json.loads(json.dumps(KSERVE))
    deployed["serving"]["kserve"]["enabled"] = False
    (other,) = pod_of(serving_of(deployed))["containers"]
    assert {**container, "name": ""} == {**other, "name": ""}


@pytest.mark.parametrize("values", [PUBLISHED, KSERVE], ids=["published", "kserve"])
def test_the_crds_of_others(values: Object, other_crd_problems: Problems) -> None:
    found = [o for o in render(values) if o["apiVersion"].startswith(OTHERS)]
    assert len(found) == 1
    assert other_crd_problems(found[0]) == []
    broken = json.loads(json.dumps(found[0]).replace('"containers"', '"container"').replace('"port"', '"ports"'))
    assert other_crd_problems(broken), "it refuses what is misspelt"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"image": "vqi"}, "serving"),
        ({"models": ["/models"]}, "serving"),
        ({"models": ["--port"]}, "serving"),
        ({"models": ["$(HOME)"]}, "serving"),
        ({"replicas": {"min": 3, "max": 2}}, "serving.replicas.max: expected at least serving.replicas.min, 3; got 2"),
        ({"image": "vqi-serve"}, "serving.models: expected exported files, because serving.image is vqi-serve"),
        ({"ingress": {"enabled": True}}, "serving.ingress.host: expected the host that the Ingress is for"),
        (
            {"kserve": {"enabled": True}, "serviceMonitor": {"enabled": True}},
            "serving.serviceMonitor.enabled: expected false, because with serving.kserve.enabled KServe makes the",
        ),
        ({"resources": {"requests": {"cpu": 3}, "limits": {"cpu": 2}}}, "serving.resources.requests.cpu"),
    ],
)
def test_refused(values: Object, said: str) -> None:
    with pytest.raises(helm.HelmError, match=said.replace(".", r"\.")):
        render(on(**values))


def test_the_notes_say_how_to_reach_it() -> None:
    notes = helm.install(str(CHART), "rel", "ml", PUBLISHED)
    assert "kubectl port-forward -n ml service/rel-serving 8000:80" in notes
    assert "https://vqi.example.com/" in notes
    assert "kubectl get inferenceservice -n ml rel-serving" in helm.install(str(CHART), "rel", "ml", KSERVE)
    assert "rel-serving" not in helm.install(str(CHART), "rel", "ml", LEAST)
