"""Every setting of every step can be set: it is a parameter of the pipeline, or listed here with the reason why not."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from vqi import config
from vqi.errors import VqiError
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.parameters import check_parameters, check_ranges, describe_parameters, pipeline_fields

TRAINING = Path(__file__).parents[2] / "pipelines" / "training.py"
INTERNAL = {
    ("Preprocess", "dataset"): "dataset_download says where the dataset is",
    ("Preprocess", "category"): "the pipeline runs the step for each category",
    ("DatasetDownload", "run"): "the backend says which it is",
    ("Publish", "recipe"): "dataset_download says what it is",
    ("Publish", "run"): "the backend says which it is",
    ("Publish", "dataset"): "dataset_download says where the dataset is",
    ("Publish", "summary"): "evaluate writes it",
    ("Summarize", "run"): "the backend says which it is",
    ("Summarize", "dataset"): "dataset_download says where the dataset is",
}


@pytest.fixture(scope="module")
def ir() -> str:
    return training_ir()


def step_of(model: type[config.StepConfig]) -> str:
    """The name of the step whose settings a model holds."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", model.__name__).lower()


def given_to(step: str, ir: str) -> dict[str, Any]:
    """The source of each parameter of a step in the compiled pipeline, channels by the name of what they carry."""
    spec = next(yaml.load_all(ir, yaml.CSafeLoader))
    graphs = [spec["root"], *spec["components"].values()]
    tasks = [task for graph in graphs for task in graph.get("dag", {}).get("tasks", {}).values()]
    (task,) = [task for task in tasks if task["taskInfo"]["name"] == step.replace("_", "-")]
    sources = task["inputs"].get("parameters", {})
    return {name: source.get("componentInputParameter", "").split("--")[-1] for name, source in sources.items()}


def test_each_setting_is_a_parameter_of_the_pipeline_or_internal(ir: str) -> None:
    of_pipeline = {name for name, _, _ in describe_parameters(read_ir(ir))}
    names = {(model, field): name for name, (model, field) in pipeline_fields(read_ir(ir)).items()}
    for model in config.STEPS:
        given = given_to(step_of(model), ir) if model.model_fields else {}
        for field in model.model_fields:
            internal = (model.__name__, field) in INTERNAL
            name = names.get((model, field)) or given.get(field)
            assert (name in of_pipeline) != internal, f"{model.__name__}.{field} cannot be set"
            assert internal or given[field] == name, f"{model.__name__}.{field} gets {given[field]}"


def test_what_is_internal_is_still_there() -> None:
    fields = {(model.__name__, field) for model in config.STEPS for field in model.model_fields}
    assert set(INTERNAL) <= fields


def test_the_pipeline_has_no_parameter_that_is_no_setting(ir: str) -> None:
    assert set(pipeline_fields(read_ir(ir))) == set(read_ir(ir).inputs)


def test_the_models_stand_in_the_order_of_the_data_path() -> None:
    calls = [node for node in ast.walk(ast.parse(TRAINING.read_text())) if isinstance(node, ast.Call)]
    calls.sort(key=lambda call: call.lineno)
    called = [call.func.id for call in calls if isinstance(call.func, ast.Name)]
    steps = [step_of(model) for model in config.STEPS]
    assert [name for name in called if name in steps] == steps


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("max_pixels", "10", "max_pixels: Input should be greater than or equal to 1024, got 10"),
        ("bootstrap", "1", "bootstrap: Input should be greater than or equal to 100, got 1"),
        ("examples", "-1", "examples: Input should be greater than or equal to 0, got -1"),
    ],
)
def test_each_is_held_against_its_range_before_anything_runs(ir: str, name: str, value: str, problem: str) -> None:
    with pytest.raises(VqiError, match=f"^{re.escape(problem)}$"):
        check_ranges(check_parameters(read_ir(ir), {name: value}))


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("image_size", 96, "96"),
        ("image_size", "64x96", "64x96"),
        ("layer", ["a", "b"], '["a", "b"]'),
        ("layer", "a", "a"),
    ],
)
def test_a_text_may_be_written_as_what_it_means(ir: str, name: str, given: Any, value: str) -> None:
    assert check_parameters(read_ir(ir), {name: given})[name] == value


@pytest.mark.parametrize(("name", "given"), [("image_size", [96]), ("image_size", True), ("layer", 3), ("group_by", 3)])
def test_a_text_may_be_nothing_else(ir: str, name: str, given: Any) -> None:
    with pytest.raises(VqiError, match=f"parameter '{name}': expected a text"):
        check_parameters(read_ir(ir), {name: given})
