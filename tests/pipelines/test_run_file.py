"""``vqi run FILE``: somebody's own pipeline on this machine, with the programs that are here."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vqi_pipelines.commands.group import vqi

FILE = """
from typing import NamedTuple
from kfp import dsl

@dsl.container_component
def flip(face: str, out: dsl.OutputPath(str), made: dsl.Output[dsl.Model]):
    return dsl.ContainerSpec(
        image="tools:1", command=["sh", "-c", 'printf %s "$0" > "$1"; echo model > "$2"'], args=[face, out, made.path]
    )

@dsl.container_component
def say(word: str, model: dsl.Input[dsl.Model], out: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="tools:1", command=["sh", "-c", 'cat "$1" >&2; printf %s "$0" > "$2"'], args=[word, model.path, out])

@dsl.pipeline(name="coin")
def coin(face: str = "heads"):
    flipped = flip(face=face)
    with dsl.If(flipped.outputs["out"] == "heads"):
        a = say(word=f"it was {face}", model=flipped.outputs["made"])
    with dsl.Else():
        b = say(word=f"{dsl.PIPELINE_TASK_NAME_PLACEHOLDER}", model=flipped.outputs["made"])
    say(word=dsl.OneOf(a.outputs["out"], b.outputs["out"]), model=flipped.outputs["made"])

@dsl.component(base_image="python:3.11")
def add(a: int, text: str, shown: dsl.Output[dsl.Metrics], data: dsl.Output[dsl.Dataset]) -> NamedTuple("Made", [("n", int), ("words", list)]):
    shown.log_metric("share", 0.5)
    with open(data.path, "w") as file:
        file.write("data")
    return (a + len(text), [text, "x"])

@dsl.component(base_image="python:3.11")
def read(words: list, data: dsl.Input[dsl.Dataset]) -> str:
    return open(data.path).read() + words[0]

@dsl.pipeline(name="functions")
def functions(text: str = "ab"):
    made = add(a=2, text=text)
    read(words=made.outputs["words"], data=made.outputs["data"])

@dsl.container_component
def nowhere():
    return dsl.ContainerSpec(image="tools:1", command=["no-such-program"])

@dsl.pipeline(name="missing")
def missing():
    nowhere()
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FILE)
    return tmp_path / "mine.py"


def run_file(*arguments: object) -> Result:
    return CliRunner().invoke(vqi, ["run", *map(str, arguments)])


def outputs_of(step: str) -> dict[str, object]:
    found = json.loads(Path("runs/latest", step, "task.json").read_text())["output_parameters"]
    assert isinstance(found, dict)
    return found


@pytest.mark.filterwarnings("ignore:The default base_image:FutureWarning")
def test_branches_and_functions_run_here(file: Path) -> None:
    done = run_file(file, "--pipeline", "coin")
    assert done.exit_code == 0, done.output
    assert "note: steps run with the programs of this machine, not in the image tools:1" in done.stderr
    assert outputs_of("say-3") == {"out": "it was heads"}
    assert 'say-3: out = "it was heads"' in done.stdout
    assert (Path("runs/latest/flip/made")).read_text() == "model\n"
    assert "say-2" not in done.stdout  # the other branch

    assert run_file(file, "--pipeline", "coin", "-p", "face=tails").exit_code == 0
    assert outputs_of("say-3") == {"out": "say-2"}

    done = run_file(file, "--pipeline", "functions", "-p", "text=abc")
    assert done.exit_code == 0, done.output
    assert outputs_of("add") == {"n": 5, "words": ["abc", "x"]}
    assert outputs_of("read") == {"Output": "dataabc"}
    assert json.loads(Path("runs/latest/add/shown").read_text()) == {"share": 0.5}


@pytest.mark.filterwarnings("ignore:The default base_image:FutureWarning")
def test_what_cannot_run_here_is_said(file: Path) -> None:
    several = run_file(file)
    assert (several.exit_code, several.output.count("\n")) == (2, 1)
    assert "it defines 3 pipelines: name one with --pipeline: coin, functions, missing" in several.output
    assert "did you mean 'coin'" in run_file(file, "--pipeline", "coins").output
    assert (
        "unknown parameter 'fase': did you mean 'face'" in run_file(file, "--pipeline", "coin", "-p", "fase=x").output
    )
    assert "it names a pipeline of a FILE" in run_file("--pipeline", "coin").output
    failed = run_file(file, "--pipeline", "missing")
    assert failed.exit_code == 2
    assert (
        "program 'no-such-program' is not installed on this machine: install it, or run the step in its image"
        in failed.stdout
    )


def test_a_compiled_pipeline_runs(file: Path) -> None:
    file.write_text(FILE.partition("@dsl.component")[0])
    assert CliRunner().invoke(vqi, ["compile", str(file), "--target", "kubeflow", "--output", "out"]).exit_code == 0
    done = run_file("out/kubeflow/coin.yaml", "-p", "face=tails")
    assert done.exit_code == 0, done.output
    assert outputs_of("say-3") == {"out": "say-2"}
