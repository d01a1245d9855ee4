"""What no cluster takes is refused when a pipeline is read, by the name of the field; what one takes is not."""

import copy
from typing import Any

import pytest
import yaml

from tests.pipelines.argo import examples
from vqi.errors import VqiError
from vqi_pipelines.compiled import ir_of
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.admission import quantity

CONTAINER = ("deploymentSpec", "executors", "exec-hello", "container")
POD = ("platforms", "kubernetes", "deploymentSpec", "executors", "exec-hello")
TASK = ("root", "dag", "tasks", "hello")


@pytest.fixture(scope="module")
def placed() -> list[dict[str, Any]]:
    return list(yaml.load_all(ir_of(examples.placed), yaml.CSafeLoader))


def with_value(documents: list[dict[str, Any]], path: tuple[Any, ...], value: Any) -> str:
    copied = copy.deepcopy(documents)
    part: Any = copied[path[0] == "platforms"]
    for key in path[:-1]:
        part = part[key] if isinstance(part, list) else part.setdefault(key, {})
    part[path[-1]] = value
    return yaml.dump_all(copied, Dumper=yaml.CSafeDumper)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ((*CONTAINER, "image"), ["", " ", "a b", "a/B", "a:b:c", "r.example.com:99999/a", "a@sha256:1", "-a", "{{$.inputs.parameters['image']}}"]),
        ((*CONTAINER, "env"), [[{"name": name, "value": ""}] for name in ("A=B", "", "1A", "A B", "Ä")]),
        ((*CONTAINER, "env"), [[{"name": "A", "value": "{{$.inputs.parameters['who']}}"}]]),
        ((*CONTAINER, "resources", "resourceCpuLimit"), ["x", "-1", "0", "1 ", "1e", "", "1kk", "{{$.inputs.parameters['who']}}"]),
        ((*CONTAINER, "resources", "cpuLimit"), [-1, 0, 1e30, True, "1"]),
        ((*CONTAINER, "resources", "memoryRequest"), [-1.5]),
        ((*CONTAINER, "resources", "accelerator"), [{"resourceType": "gpu", "resourceCount": "1"}, {"resourceType": "nvidia.com/gpu", "resourceCount": "-1"},
            {"resourceType": "nvidia.com/gpu"}, {"resourceType": "{{$.inputs.parameters['who']}}", "resourceCount": "1"}]),
        ((*CONTAINER, "args", 0), ["a\0b"]),
        ((*TASK, "retryPolicy", "maxRetryCount"), [float("nan"), float("inf"), -1, 0.5, 1e9]),
        ((*TASK, "retryPolicy", "backoffFactor"), [float("nan"), -2, 1e300]),
        ((*TASK, "retryPolicy", "backoffDuration"), ["nans", "infs", "-1s", "1_0s", "5", "1e9s", "999999999999s"]),
        ((*POD, "nodeSelector", "labels"), [{"a b": "c"}, {"a": "b c"}, {"": "b"}, {"a/b/c": "d"}]),
        ((*POD, "podMetadata", "annotations"), [{"a b": "c"}]),
        ((*POD, "tolerations"), [[{"operator": "Never"}], [{"key": "a", "effect": "Nope"}], [{"operator": "Equal"}], [{"operator": "Exists", "value": "x", "key": "a"}]]),
        ((*POD, "pvcMount", 0, "mountPath"), ["data", "/", "/a:b", "/../a"]),
        ((*POD, "secretAsEnv", 0, "keyToEnv", 0, "envVar"), ["A=B"]),
        ((*POD, "secretAsEnv", 0, "keyToEnv", 0, "secretKey"), ["a b", ""]),
        ((*POD, "activeDeadlineSeconds"), ["0", "-1", str(2**40)]),
    ],
)  # fmt: skip
def test_refused_by_its_name(placed: list[dict[str, Any]], path: tuple[Any, ...], values: list[Any]) -> None:
    named = next(key for key in reversed(path) if isinstance(key, str))
    for value in values:
        text = with_value(placed, path, value)
        with pytest.raises(VqiError) as caught:
            read_ir(text)
        assert named in str(caught.value), value
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ((*CONTAINER, "image"), ["python", "python:3.11-slim", "r.example.com:5000/a/b_c/d--e:v1.2", f"a/b@sha256:{'0' * 64}", "localhost/x", "R.example.com/x"]),
        ((*CONTAINER, "env"), [[{"name": name, "value": "a=b"}] for name in ("A", "a.b", "_X", "my-var")]),
        ((*CONTAINER, "resources", "resourceCpuLimit"), ["500m", "2", "0.5", "1.5"]),
        ((*CONTAINER, "resources", "resourceMemoryLimit"), ["512Mi", "1.5G", "64M", "1Ti"]),
        ((*TASK, "retryPolicy", "backoffDuration"), ["0s", "5s", "0.5s", "3600s"]),
        ((*POD, "nodeSelector", "labels"), [{"kubernetes.io/arch": "amd64"}, {"disk": ""}]),
    ],
)  # fmt: skip
def test_taken(placed: list[dict[str, Any]], path: tuple[Any, ...], values: list[Any]) -> None:
    for value in values:
        read_ir(with_value(placed, path, value))


def test_more_requested_than_the_limit(placed: list[dict[str, Any]]) -> None:
    amounts = {"resourceCpuLimit": "1", "resourceCpuRequest": "1500m"}
    with pytest.raises(VqiError, match=r"resourceCpuRequest: expected at most the limit of 1, got 1500m"):
        read_ir(with_value(placed, (*CONTAINER, "resources"), amounts))


@pytest.mark.parametrize(("text", "number"), [("500m", 0.5), ("2", 2), ("1Ki", 1024), ("1.5G", 1.5e9)])
def test_amounts(text: str, number: float) -> None:
    assert quantity(text, "x") == number
