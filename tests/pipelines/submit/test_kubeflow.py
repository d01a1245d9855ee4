"""``vqi submit kubeflow`` against a small server that behaves like Kubeflow Pipelines' API."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2 as executor_config
from kfp.pipeline_spec import pipeline_spec_pb2

from vqi.errors import VqiError
from vqi_components.declare import TORCH_IMAGE
from vqi_pipelines.commands.group import vqi
from vqi_pipelines.submit import kubeflow

API = "/apis/v2beta1"
SAID = "source folder:s3://parts: expected a category, got nothing"
NODES = [  # as in Kubeflow 2.17 and Argo 4.0
    ("wf-1", "DAG", "Failed", "dataset-download", "retry-system-container-executor", "wf-0", ""),
    ("wf-2", "Retry", "Failed", "executor", "retry-system-container-impl", "wf-1", "No more retries left"),
    ("wf-3", "Pod", "Failed", "executor(0)", "retry-system-container-impl", "wf-1", f"main: Error (exit code 1): {SAID}"),
    ("wf-4", "Pod", "Failed", "executor(1)", "retry-system-container-impl", "wf-1", f"main: Error (exit code 1): {SAID}"),
    ("wf-5", "Pod", "Succeeded", "root-driver", "system-dag-driver", "wf-0", ""),
    ("wf-6", "Pod", "Error", "preprocess-driver", "system-container-driver", "wf-0", "main: Error (exit code 1)"),
    ("wf-7", "Pod", "Failed", "executor", "system-container-impl", "wf-8", "Pod was active longer than its deadline"),
    ("wf-8", "DAG", "Failed", "evaluate", "system-container-executor", "wf-0", ""),
]  # fmt: skip
KEYS = ("id", "type", "phase", "displayName", "templateName", "boundaryID", "message")


class Kubeflow(ThreadingHTTPServer):
    """Keeps the requests that it gets, and refuses invalid pipelines."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.experiments: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.recurring: list[dict[str, Any]] = []
        self.logins: set[tuple[str | None, str | None]] = set()
        self.states = ["PENDING", "RUNNING", "SUCCEEDED"]
        self.nodes = [dict(zip(KEYS, node, strict=True)) for node in NODES]
        self.users = False
        self.refuse = 0
        self.healthz = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/pipeline"


class Handler(BaseHTTPRequestHandler):
    server: Kubeflow

    def answer(self, status: int, content: object) -> None:
        body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refused(self) -> bool:
        self.server.logins.add((self.headers["Authorization"], self.headers["Cookie"]))
        if self.server.refuse:
            self.answer(self.server.refuse, {"error": "no,\nnot you", "code": 7})
        return bool(self.server.refuse)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/pipeline")
        if self.refused():
            return
        if path == f"{API}/healthz":
            self.answer(200, self.server.healthz or {"multi_user": self.server.users})
        elif path == f"{API}/experiments":
            (predicate,) = json.loads(parse_qs(parts.query)["filter"][0])["predicates"]
            assert (predicate["operation"], predicate["key"]) == ("EQUALS", "display_name")
            named = [one for one in self.server.experiments if one["display_name"] == predicate["stringValue"]]
            self.answer(200, {"experiments": named} if named else {})
        elif path == f"{API}/runs/r-1":
            state = self.server.states.pop(0)
            self.answer(200, {"run_id": "r-1", "state": state})
        elif path == "/apis/v1beta1/runs/r-1":
            status = {"nodes": {node["id"]: node for node in self.server.nodes}}
            workflow = {"metadata": {"name": "wf", "namespace": "kubeflow"}, "status": status}
            self.answer(200, {"run": {}, "pipeline_runtime": {"workflow_manifest": json.dumps(workflow)}})
        else:
            self.answer(404, "not found")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.removeprefix("/pipeline")
        if self.refused():
            return
        if path == f"{API}/experiments":
            self.server.experiments.append({**body, "experiment_id": f"e-{len(self.server.experiments)}"})
            self.answer(200, self.server.experiments[-1])
            return
        json_format.ParseDict(body["pipeline_spec"]["pipeline_spec"], pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(body["pipeline_spec"]["platform_spec"], pipeline_spec_pb2.PlatformSpec())
        kept, name = {
            f"{API}/runs": (self.server.runs, "run_id"),
            f"{API}/recurringruns": (self.server.recurring, "recurring_run_id"),
        }[path]
        kept.append(body)
        self.answer(200, {**body, name: "r-1"})

    def log_message(self, *arguments: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubeflow]:
    with Kubeflow() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        monkeypatch.setattr(kubeflow, "PAUSE_SECONDS", 0.01)
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", running.address)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        for name in ("KF_PIPELINES_TOKEN", "KF_PIPELINES_COOKIE", "KF_PIPELINES_UI_ENDPOINT"):
            monkeypatch.delenv(name, raising=False)
        yield running
        running.shutdown()
        thread.join()


def submit(*arguments: str) -> Result:
    return CliRunner().invoke(vqi, ["submit", "kubeflow", *arguments])


def error_of(result: Result) -> str:
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def test_a_run(server: Kubeflow, tmp_path: Path) -> None:
    (tmp_path / "parameters.yaml").write_text(
        'source: "folder:s3://parts"\ncategories: [bracket]\nmethod: simsiam\nepochs: 3\n'
    )
    result = submit("-f", str(tmp_path / "parameters.yaml"), "-p", "target_fpr=0.01", "-p", "finetune={}")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[1] == f"follow it: {server.address}/#/runs/details/r-1"
    (run,) = server.runs
    assert run["experiment_id"] == "e-0"
    assert run["display_name"].startswith("training 2")
    assert "service_account" not in run
    assert run["runtime_config"] == {
        "parameters": {
            "source": "folder:s3://parts", "categories": ["bracket"], "method": "simsiam", "epochs": 3,
            "target_fpr": 0.01, "finetune": {},
        }
    }  # fmt: skip


def test_an_experiment_is_made_once(server: Kubeflow) -> None:
    for name in ("vqi", "vqi", "other"):
        assert submit("--experiment", name).exit_code == 0
    assert [one["display_name"] for one in server.experiments] == ["vqi", "other"]
    assert [run["experiment_id"] for run in server.runs] == ["e-0", "e-0", "e-1"]


def test_all_options_reach_it(server: Kubeflow) -> None:
    result = submit(
        "--registry", "registry.example.com/q", "--tag", "2.1", "--pull-secret", "pull", "--retries", "0", "--no-cache",
        "--node-selector", "zone=a", "--toleration", "dedicated=ml:NoSchedule", "--name", "Tuesday",
        "--service-account", "runner", "--page", "https://kubeflow.example.com/",
    )  # fmt: skip
    assert result.output.splitlines() == [
        "submitted 'Tuesday', run r-1",
        "follow it: https://kubeflow.example.com/#/runs/details/r-1",
    ]
    (run,) = server.runs
    assert (run["display_name"], run["service_account"]) == ("Tuesday", "runner")
    spec = json.dumps(run["pipeline_spec"]["pipeline_spec"])
    assert "registry.example.com/q/vqi-torch:2.1" in spec
    assert "enableCache" not in spec
    assert "maxRetryCount" not in spec
    for pod in run["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        config = json_format.ParseDict(pod, executor_config.KubernetesExecutorConfig())
        assert dict(config.node_selector.labels) == {"zone": "a"}
        assert [one.key for one in config.tolerations] == ["dedicated"]
        assert [one.secret_name for one in config.image_pull_secret] == ["pull"]


def test_a_schedule(server: Kubeflow) -> None:
    result = submit("--cron", "0 3 * * 1", "-p", "categories=mono")
    assert result.exit_code == 0, result.output
    assert result.output.endswith("/#/recurringrun/details/r-1\n")
    (made,) = server.recurring
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * 1"}}
    assert (made["mode"], made["no_catchup"], made["max_concurrency"]) == ("ENABLE", True, "1")
    assert made["runtime_config"] == {"parameters": {"categories": ["mono"]}}
    assert not server.runs


@pytest.mark.parametrize(("line", "expected"), [("*/5 0-6 1 jan ?", "0 */5 0-6 1 1 ?"), ("@daily", "@daily")])
def test_cron_lines(line: str, expected: str) -> None:
    assert kubeflow.kubeflow_cron(line) == expected


@pytest.mark.parametrize("line", ["0 0 3 * * 1", "61 * * * *", "soon"])
def test_no_cron_lines(line: str) -> None:
    with pytest.raises(VqiError, match="--cron: expected a"):
        kubeflow.kubeflow_cron(line)


def test_waiting_for_success(server: Kubeflow) -> None:
    result = submit("--wait")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "SUCCEEDED")
    assert not server.states


def test_waiting_for_a_failure(server: Kubeflow) -> None:
    """The step's own message, once however often it was tried; without one, where its log is."""
    server.states = ["RUNNING", "FAILED"]
    result = submit("--wait")
    assert result.exit_code == 1
    assert result.output.splitlines()[2:] == [
        "FAILED",
        f"dataset-download: {SAID}",
        "preprocess-driver: main: Error (exit code 1): kubectl logs -n kubeflow wf-system-container-driver-6 -c main",
        "evaluate: Pod was active longer than its deadline",
    ]


def test_a_run_that_was_cancelled(server: Kubeflow) -> None:
    server.states, server.nodes = ["CANCELING", "CANCELED"], []
    result = submit("--wait")
    assert (result.exit_code, result.output.splitlines()[2:]) == (1, ["CANCELED"])


def test_logging_in(server: Kubeflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KF_PIPELINES_TOKEN", "secret")
    assert submit().exit_code == 0
    assert server.logins == {("Bearer secret", None)}
    server.logins.clear()
    monkeypatch.delenv("KF_PIPELINES_TOKEN")
    monkeypatch.setenv("KF_PIPELINES_COOKIE", "authservice_session=abc")
    assert submit().exit_code == 0
    assert server.logins == {(None, "authservice_session=abc")}


def test_a_kubeflow_with_users(server: Kubeflow) -> None:
    server.users = True
    assert "has users: name the namespace of your profile with -n" in error_of(submit())
    assert submit("-n", "quality").exit_code == 0
    assert server.experiments[0]["namespace"] == "quality"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "refused with 401: no, not you: log in: set KF_PIPELINES_TOKEN"),
        (403, "refused with 403: no, not you: your account is not allowed"),
        (404, "is that the address of Kubeflow Pipelines?"),
        (500, "refused with 500: no, not you"),
    ],
)
def test_refusals(server: Kubeflow, status: int, message: str) -> None:
    server.refuse = status
    assert message in error_of(submit())


def test_something_else_is_there(server: Kubeflow) -> None:
    server.healthz = "<html>\n<title>Log in</title>"
    assert "got '<html> <title>Log in</title>'" in error_of(submit())
    server.healthz = "[]"
    assert "expected Kubeflow Pipelines' API, got '[]'" in error_of(submit())


def test_nobody_is_there(server: Kubeflow, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "http://127.0.0.1:1 did not respond" in error_of(submit("--host", "http://127.0.0.1:1"))
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT")
    assert error_of(submit()) == "where is Kubeflow Pipelines? Set --host or KF_PIPELINES_ENDPOINT"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-p", "target_fprr=0.1"), "unknown parameter 'target_fprr': did you mean 'target_fpr'"),
        (("-p", "image_size=1"), "image_size: expected pixels per side from 32 to 2048"),
        (("-p", "seed=x"), "parameter 'seed': expected a whole number, got 'x'"),
        (("-p", "max_pixels=9007199254740993"), "parameter 'max_pixels': expected a whole number below 2^53, got 9007"),
        (("-p", 'finetune={"a": [9007199254740993]}'), "parameter 'finetune'.a[0]: expected a whole number below 2^53"),
        (("--toleration", "x"), "--toleration 'x': expected key=value:effect"),
        (("--node-selector", "x"), "--node-selector 'x': expected key=value"),
        (("--registry", "https://r.example.com"), "registry 'https://r.example.com': expected a host and folders"),
        (("--registry", "r.example.com/Quality"), "registry 'r.example.com/Quality': expected a host and folders"),
        (("--tag", "a b"), "tag 'a b': expected letters, digits"),
        (("--cron", "0 0 3 * * 1"), "--cron: expected a cron line of five fields"),
        (("--cron", "@daily", "--wait"), "--wait: a schedule has no end"),
        (("-f", "/nowhere.yaml"), "parameter file /nowhere.yaml"),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked(server: Kubeflow, arguments: Any, message: str) -> None:
    assert message in error_of(submit(*arguments))
    assert not server.runs
    assert not server.recurring
    assert not server.experiments


def test_compiled_for_a_registry(tmp_path: Path) -> None:
    arguments = ["compile", "--target", "kubeflow", "--output", str(tmp_path), "--registry", "r.example.com"]
    assert CliRunner().invoke(vqi, arguments).exit_code == 0
    assert f"image: r.example.com/{TORCH_IMAGE}" in (tmp_path / "kubeflow" / "training.yaml").read_text()
    (tmp_path / "mine.py").write_text("")
    assert "leave them out" in error_of(CliRunner().invoke(vqi, [*arguments, str(tmp_path / "mine.py")]))
