"""``vqi compile FILE.py``: users' own pipelines for both targets, and errors of a file as one line."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from vqi.errors import VqiError
from vqi_pipelines.commands.group import vqi
from vqi_pipelines.definition import pipelines_of

FILE = """
from kfp import dsl
from helper import IMAGE

@dsl.container_component
def step(word: str):
    return dsl.ContainerSpec(image=IMAGE, command=["echo"], args=[word])

@dsl.pipeline(name="first-one")
def first(word: str = "w"):
    step(word=word)

@dsl.pipeline(name="second")
def second(count: int = 2):
    with dsl.ParallelFor(["a", "b"]) as item:
        step(word=item)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("IMAGE = 'registry.example.com/echo:1'\n")
    (tmp_path / "theirs.py").write_text(FILE)
    return tmp_path / "theirs.py"


def compile_file(file: Path, output: Path, *options: str) -> Result:
    return CliRunner().invoke(vqi, ["compile", str(file), "--output", str(output), *options])


def test_both_targets(file: Path, tmp_path: Path) -> None:
    result = compile_file(file, tmp_path / "out")
    assert result.exit_code == 0, result.output
    made = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.yaml")}
    assert made == {f"{target}/{name}.yaml" for target in ("argo", "kubeflow") for name in ("first-one", "second")}
    assert [Path(line).name for line in result.output.splitlines()].count("second.yaml") == 2
    template = yaml.safe_load((tmp_path / "out/argo/first-one.yaml").read_text())
    assert (template["kind"], template["metadata"]["name"]) == ("WorkflowTemplate", "first-one")
    ir = yaml.safe_load((tmp_path / "out/kubeflow/second.yaml").read_text())
    assert ir["pipelineInfo"]["name"] == "second"


@pytest.mark.parametrize("target", ["argo", "kubeflow"])
def test_one_target(file: Path, tmp_path: Path, target: str) -> None:
    assert compile_file(file, tmp_path / "out", "--target", target).exit_code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [target]


def test_what_argo_has_no_equivalent_for_compiles_for_kubeflow_alone(file: Path, tmp_path: Path) -> None:
    file.write_text(FILE.replace("step(word=item)", "with dsl.If(count == 2):\n            step(word=item)"))
    refused = compile_file(file, tmp_path / "out", "--target", "argo")
    assert refused.exit_code == 2
    assert "triggerPolicy.condition: a condition (dsl.If) is not supported" in refused.output
    assert refused.output.count("\n") == 1 + refused.output.count("first-one.yaml")
    assert compile_file(file, tmp_path / "out", "--target", "kubeflow").exit_code == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1", "expected a pipeline, found none"),
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def broken(:", "SyntaxError"),
        ("from vqi_pipelines.training import training", "expected a pipeline, found none"),
    ],
)
def test_a_file_without_a_pipeline(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "theirs.py").write_text(content)
    result = compile_file(tmp_path / "theirs.py", tmp_path / "out")
    assert result.exit_code == 2
    assert message in result.output
    assert "theirs.py: " in result.output
    assert not (tmp_path / "out").exists()


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(VqiError, match="expected a Python file"):
        pipelines_of(tmp_path / "nothing.py")
