"""What has no equivalent in Argo, or would behave differently there, is refused in one line with its place."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from kfp import dsl

from tests.pipelines.argo import examples
from vqi.errors import VqiError
from vqi_pipelines.argo import Schedule, Settings, cron_workflow, lower
from vqi_pipelines.argo.cron_lines import check_cron_line
from vqi_pipelines.argo.names import dns_label
from vqi_pipelines.compiled import ir_of, training_ir
from vqi_pipelines.ir import read_ir

LONG = "a" * 62
ROOT = "root/dag/tasks"


@pytest.fixture(scope="module")
def fan() -> dict[str, Any]:
    return yaml.load(ir_of(examples.fan), yaml.CSafeLoader)


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for key in parents:
            document = document[int(key)] if isinstance(document, list) else document.setdefault(key, {})
        document[int(last) if isinstance(document, list) else last] = value

    return change


def copied(tasks: str, old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        for key in tasks.split("/"):
            document = document[key]
        document[new] = copy.deepcopy(document[old])

    return change


CONTAINER = "deploymentSpec/executors/exec-make/container"


def tolerant_of_a_limited_loop(document: dict[str, Any]) -> None:
    put(f"{ROOT}/join/triggerPolicy", {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"})(document)
    put(f"{ROOT}/for-loop-1/iteratorPolicy", {"parallelismLimit": 2})(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(f"{CONTAINER}/args/0", "say {{item}}"), r"components\.comp-make\.container\.args\[0\]: 'say \{\{item\}\}' contains '\{\{'"),
        (put(f"{CONTAINER}/image", "{{x}}"), r"exec-make\.container\.image: expected an image"),
        (put(f"{CONTAINER}/env", [{"name": "A", "value": "{{workflow.name}}"}]), r"comp-make\.container\.env\.A"),
        (put(f"{CONTAINER}/resources", {"resourceCpuLimit": "{{$.inputs.parameters['x']}}"}), r"resourceCpuLimit: a resource from a parameter"),
        (put(f"{ROOT}/make/inputs/parameters/count", {"runtimeValue": {"constant": "{{$.inputs.parameters['nope']}}"}}), "names the input 'nope'"),
        (put(f"{ROOT}/make/retryPolicy", {"maxRetryCount": 2, "backoffDuration": "3s", "backoffFactor": 1.5}), r"components\.comp-make\.backoffFactor: expected a whole number, got 1.5"),
        (put("root/inputDefinitions/parameters/extra", {"parameterType": "STRING", "isOptional": True}), r"root\.inputDefinitions\.parameters\.extra: an optional parameter without a default"),
        (put("root/inputDefinitions/parameters/ex.tra", {"parameterType": "STRING", "defaultValue": "x"}), r"expected a name of letters, digits, '_' and '-', got 'ex.tra'"),
        (put("root/inputDefinitions/parameters/extra", {"parameterType": "STRING", "defaultValue": "{{item}}"}), r"parameters\.extra\.defaultValue: "),
        (put("components/comp-make/inputDefinitions/parameters/key-prefix", {"parameterType": "STRING", "defaultValue": "x"}), r"comp-make\.inputDefinitions\.parameters\.key-prefix: the lowering to Argo uses this name"),
        (put("pipelineInfo/name", "7 days"), r"pipelineInfo\.name.*begins with a letter, got '7 days'"),
        (copied(ROOT, "make", "Make"), r"root\.dag\.tasks: 'Make' and 'make' are both 'make' in Argo"),
        (copied(ROOT, "make", f"{LONG}-one"), None),
        (copied("components/comp-for-loop-1/dag/tasks", "use", "make"), None),
        (put(f"{ROOT}/make/triggerPolicy", {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}), r"nothing can wait for the exit handler 'make'"),
        (put("components/comp-for-loop-1/dag/tasks/use/triggerPolicy", {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}), r"comp-for-loop-1\.dag\.tasks\.use\.triggerPolicy\.strategy: an exit handler is supported only at the top"),
        (put(f"{ROOT}/join/triggerPolicy", {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}), None),  # of what did not fail
        (tolerant_of_a_limited_loop, None),
        (put("components/comp-make/outputDefinitions/artifacts/names", {"artifactType": {"schemaTitle": "system.Dataset"}}), r"comp-make\.outputDefinitions: 'names' is a parameter and an artifact"),
        (put(f"{ROOT}/for-loop-1/parameterIterator/items", {"raw": '["a", "../b"]'}), r"for-loop-1\.parameterIterator\.items\[1\]: '\.\./b' cannot be part of an artifact's key"),
        (put(f"{ROOT}/for-loop-1/parameterIterator/items", {"raw": '["a", "b", "a"]'}), r"for-loop-1\.parameterIterator\.items\[0\]: 'a' cannot be"),
        (put(f"{ROOT}/for-loop-1/iteratorPolicy", {"parallelismLimit": -1}), "expected 0"),
    ],
)  # fmt: skip
def test_refused_with_its_place(fan: dict[str, Any], change: Any, message: str | None) -> None:
    document = copy.deepcopy(fan)
    change(document)
    if message is None:
        lower(read_ir(yaml.dump(document, Dumper=yaml.CSafeDumper)))
        return
    with pytest.raises(VqiError, match=message) as caught:
        lower(read_ir(yaml.dump(document, Dumper=yaml.CSafeDumper)))
    assert "\n" not in str(caught.value)


def test_names_that_shorten_to_one() -> None:
    document = yaml.load(ir_of(examples.fan), yaml.CSafeLoader)
    for end in ("one", "two"):
        copied(ROOT, "make", f"{LONG}-{end}")(document)
    with pytest.raises(VqiError, match=r"root\.dag\.tasks: 'a+-one' and 'a+-two' are both 'a+' in Argo, which has 63"):
        lower(read_ir(yaml.dump(document, Dumper=yaml.CSafeDumper)))


def test_two_steps_that_would_write_to_one_place() -> None:
    @dsl.pipeline(name="twice")
    def twice():
        first = examples.make()
        with dsl.ParallelFor(first.outputs["names"]) as name:
            examples.use(folder=first.outputs["folder"], name=name)
        with dsl.ParallelFor(first.outputs["names"]) as name:
            examples.use(folder=first.outputs["folder"], name=name)

    document = yaml.load(ir_of(twice), yaml.CSafeLoader)
    tasks = document["components"]["comp-for-loop-2"]["dag"]["tasks"]
    tasks["use"] = tasks.pop("use-2")
    with pytest.raises(
        VqiError, match=r"comp-for-loop-2\.dag\.tasks\.use: its artifacts and those of .*for-loop-1.* the same keys"
    ):
        lower(read_ir(yaml.dump(document, Dumper=yaml.CSafeDumper)))


def test_structures_that_hold_inputs() -> None:
    @dsl.pipeline(name="held")
    def held(word: str = "w"):
        examples.train(rows=["a"], options={"word": f"my {word}"}, rate=1.0)

    with pytest.raises(VqiError, match=r"train\.inputs\.parameters\.options: inputs inside a list or a mapping"):
        lower(read_ir(ir_of(held)))


def test_a_key_prefix_that_leads_elsewhere() -> None:
    for prefix in ("../", "/", "a/../b/", "runs", "a//", "{{x}}/"):
        with pytest.raises(VqiError, match=r"key_prefix: expected folders that end with '/'"):
            Settings(key_prefix=prefix)
    with pytest.raises(VqiError, match="parallelism: expected at least 1, got 0"):
        Settings(parallelism=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedules": ["not a cron"]}, r"schedules\[0\]: expected a cron line of five fields, such as '0 3 \* \* 1', got 'not a cron'"),
        ({"schedules": ["0 3 * * 1", "61 3 * * 1"]}, r"schedules\[1\]: expected a minute from 0 to 59, a range from low to high, got '61'"),
        ({"schedules": []}, "schedules: expected a cron line, got an empty list"),
        ({"timezone": "Mars/Base"}, "unknown time zone 'Mars/Base'"),
        ({"timezone": "Europe/Berlinn"}, "did you mean 'Europe/Berlin'"),
        ({"timezone": ""}, "timezone: expected a name"),
        ({"parameters": {"target_fprr": 0.1}}, "unknown parameter 'target_fprr': did you mean 'target_fpr'"),
        ({"parameters": {"seed": "x"}}, "parameter 'seed': expected a whole number, got 'x'"),
        ({"parameters": {"source": "{{x}}"}}, "parameter 'source': "),
        ({"name": "9 lives"}, "schedule: expected a name that begins with a letter"),
    ],
)  # fmt: skip
def test_bad_schedules(change: dict[str, Any], message: str) -> None:
    pipeline = read_ir(training_ir())
    good: dict[str, Any] = {"name": "weekly", "schedules": ["0 3 * * 1"], "timezone": "Europe/Berlin"}
    with pytest.raises(VqiError, match=message):
        cron_workflow(pipeline, "training", Schedule(**{**good, **change}))


def test_a_schedule() -> None:
    pipeline = read_ir(training_ir())
    parameters = {"categories": ["mono"], "target_fpr": "0.01", "finetune": {"lr": 0.1}}
    schedule = Schedule("Weekly training", ["@daily", "0 3 * * mon-fri"], "Europe/Berlin", parameters)
    spec = cron_workflow(pipeline, "training", schedule).model_dump(by_alias=True, exclude_none=True, mode="json")[
        "spec"
    ]
    assert spec["schedules"] == ["@daily", "0 3 * * 1-5"], "Argo 4 takes no names"
    assert (spec["timezone"], spec["concurrencyPolicy"], spec["suspend"]) == ("Europe/Berlin", "Forbid", False)
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 3)
    assert spec["startingDeadlineSeconds"] == 600
    assert spec["workflowSpec"]["workflowTemplateRef"] == {"name": "training"}
    given = {p["name"]: p["value"] for p in spec["workflowSpec"]["arguments"]["parameters"]}
    assert given == {"categories": '["mono"]', "target_fpr": "0.01", "finetune": '{"lr": 0.1}'}


@pytest.mark.parametrize("line", ["* * * * *", "*/5 0-6,22 1 jan-Mar ?", "0 0 31 12 6", "5/10 * * * SUN", "@hourly"])
def test_cron_lines(line: str) -> None:
    check_cron_line(line, "schedules[0]")


@pytest.mark.parametrize(
    "line", ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "5-1 * * * *",
             "*/0 * * * *", "a * * * *", "* * * foo *", "1- * * * *", "1,,2 * * * *", "@never", "-1 * * * *", "² * * * *"],
)  # fmt: skip
def test_no_cron_lines(line: str) -> None:
    with pytest.raises(VqiError, match="expected a"):
        check_cron_line(line, "schedules[0]")


def test_labels() -> None:
    assert dns_label("Größe_2 of.Parts", "x") == "gr-e-2-of-parts"
    assert dns_label(f"{'a' * 62}-b", "x") == "a" * 62
    for text in ("", "--", "ß", "2nd"):
        with pytest.raises(VqiError, match="begins with a letter"):
            dns_label(text, "x")
