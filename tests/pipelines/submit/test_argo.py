"""``vqi submit argo`` against a small server that behaves like the Kubernetes API and an Argo server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from vqi_pipelines.argo import lower
from vqi_pipelines.argo.document import to_dict
from vqi_pipelines.commands.group import vqi
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.submit import argo

KUBERNETES = "/apis/argoproj.io/v1alpha1/namespaces/quality"


class Cluster(ThreadingHTTPServer):
    """One WorkflowTemplate, ``training`` in the namespace ``quality``; keeps the requests that it gets."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.template = to_dict(lower(read_ir(training_ir())))
        self.created: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.phases = ["Running", "Succeeded"]
        self.refuse = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Cluster

    def answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.server.tokens.add(self.headers["Authorization"])
        if self.path in ("/api/v1/workflow-templates/quality/training", f"{KUBERNETES}/workflowtemplates/training"):
            self.answer(200, self.server.template)
        elif self.path in ("/api/v1/workflows/quality/training-x1", f"{KUBERNETES}/workflows/training-x1"):
            phase = self.server.phases.pop(0)
            self.answer(200, {"status": {"phase": phase, "message": "a step failed" if phase == "Failed" else ""}})
        else:
            self.answer(404, {"message": f"not found:\n{self.path}"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.refuse:
            self.answer(self.server.refuse, {"message": "no"})
            return
        workflow = body["workflow"] if self.path == "/api/v1/workflows/quality" else body
        assert self.path in ("/api/v1/workflows/quality", f"{KUBERNETES}/workflows")
        self.server.created.append(workflow)
        self.answer(201, {**workflow, "metadata": {**workflow["metadata"], "name": "training-x1"}})

    def log_message(self, *arguments: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with Cluster() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "one",
            "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "quality"}}],
            "clusters": [{"name": "c", "cluster": {"server": server.address}}],
            "users": [{"name": "u", "user": {"token": "secret"}}],
        }
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig"))
        monkeypatch.setattr(argo, "PAUSE_SECONDS", 0.01)
        for name in ("ARGO_SERVER", "ARGO_TOKEN", "ARGO_SECURE"):
            monkeypatch.delenv(name, raising=False)
        yield server
        server.shutdown()
        thread.join()


def submit(*arguments: str) -> Result:
    return CliRunner().invoke(vqi, ["submit", "argo", *arguments])


def parameters(workflow: dict[str, Any]) -> dict[str, str]:
    return {p["name"]: p["value"] for p in workflow["spec"]["arguments"]["parameters"]}


def test_through_the_kubernetes_api(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text("source: folder:s3://data/parts\ncategories: [bracket]\nepochs: 0\nfinetune: {}\n")
    done = submit("-f", str(file), "-p", "seed=7", "-p", "target_fpr=0.01")
    assert (done.exit_code, done.output) == (
        0, "submitted quality/training-x1\nfollow it: argo watch -n quality training-x1\n",
    )  # fmt: skip
    (workflow,) = cluster.created
    assert workflow["spec"]["workflowTemplateRef"] == {"name": "training"}
    assert workflow["metadata"]["generateName"] == "training-"
    assert parameters(workflow) == {
        "source": "folder:s3://data/parts", "categories": '["bracket"]', "epochs": "0", "finetune": "{}",
        "seed": "7", "target_fpr": "0.01",
    }  # fmt: skip
    assert cluster.tokens == {"Bearer secret"}


def test_through_an_argo_server(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGO_TOKEN", "Bearer token")
    done = submit("--server", cluster.address, "-n", "quality", "-p", "pool=2")
    assert done.output.splitlines()[-1] == f"follow it: {cluster.address}/workflows/quality/training-x1"
    assert parameters(cluster.created[0]) == {"pool": "2"}
    assert cluster.tokens == {"Bearer token"}


def test_a_server_as_argo_names_it(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGO_SERVER", cluster.address.removeprefix("http://"))
    monkeypatch.setenv("ARGO_SECURE", "false")
    assert submit("-n", "quality").exit_code == 0


@pytest.mark.parametrize(("end", "code"), [("Succeeded", 0), ("Failed", 1), ("Error", 1)])
def test_waiting_ends_with_the_run(cluster: Cluster, end: str, code: int) -> None:
    cluster.phases = ["Pending", "Running", end]
    done = submit("--wait")
    assert (done.exit_code, cluster.phases) == (code, [])
    assert done.output.splitlines()[-1] == ("Failed: a step failed" if end == "Failed" else end)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p", "sead=1"], "error: unknown parameter 'sead': did you mean 'seed'?"),
        (["-p", "seed=one"], "error: parameter 'seed': expected a whole number, got 'one'"),
        (["-p", "target_fpr=2"], "error: target_fpr"),
        (["-p", "source=folder:{{item}}"], "error: parameter 'source': 'folder:{{item}}' contains '{{'"),
        (
            ["-p", "source=folder:$(HOME)"],
            "error: parameter 'source': 'folder:$(HOME)' contains '$(', which Kubernetes",
        ),
        (["-p", "url=http://a/$$b"], "error: parameter 'url': 'http://a/$$b' contains '$$', which Kubernetes would"),
        (["--template", "other"], "error: workflowtemplates quality/other: refused with 404: not found: /apis"),
        (["-n", "elsewhere"], "error: workflowtemplates elsewhere/training: refused with 404"),
        (["--context", "two"], "error: unknown context 'two'"),
        (["--server", "http://127.0.0.1:9"], "error: the Argo server http://127.0.0.1:9 did not respond"),
        (["-f", "absent.yaml"], "error: parameter file absent.yaml"),
    ],
)
def test_bad_input_is_one_line(cluster: Cluster, arguments: list[str], said: str) -> None:
    done = submit(*arguments)
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert done.output.startswith(said)
    assert cluster.created == []


def test_a_template_that_does_not_know_a_parameter(cluster: Cluster) -> None:
    kept = cluster.template["spec"]["arguments"]["parameters"]
    cluster.template["spec"]["arguments"]["parameters"] = [p for p in kept if p["name"] != "seed"]
    done = submit("-p", "seed=1")
    assert (done.exit_code, cluster.created) == (2, [])
    assert done.output.startswith("error: WorkflowTemplate quality/training: unknown parameter 'seed'")


def test_a_refusal_says_what_to_do(cluster: Cluster) -> None:
    cluster.refuse = 403
    done = submit()
    assert done.exit_code == 2
    assert (
        done.output
        == "error: a Workflow in namespace 'quality': refused with 403: no: your account is not allowed to do that there\n"
    )


def test_no_kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "absent"))
    monkeypatch.delenv("ARGO_SERVER", raising=False)
    done = submit()
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "set KUBECONFIG, or name an Argo server" in done.output


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\0\0", b"text", b"[1, 2]", b"", b"contexts: 3", b"a: [", b"contexts:\n- name: x\n"]
)
def test_a_file_that_is_no_kubeconfig(content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "bad.png"
    file.write_bytes(content)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    monkeypatch.delenv("ARGO_SERVER", raising=False)
    done = submit()
    assert (done.exit_code, done.output.count("\n")) == (2, 1), done.output
    assert done.output.startswith("error: ")
    assert "set KUBECONFIG" in done.output
    assert str(file) in done.output
