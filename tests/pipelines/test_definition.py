"""``vqi compile FILE.py``: users' own pipelines for both targets, and errors of a file as one line."""

import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from vqi.errors import VqiError
from vqi_pipelines.commands.group import vqi
from vqi_pipelines.definition import defined_in

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
    template = yaml.load((tmp_path / "out/argo/first-one.yaml").read_text(), yaml.CSafeLoader)
    assert (template["kind"], template["metadata"]["name"]) == ("WorkflowTemplate", "first-one")
    ir = yaml.load((tmp_path / "out/kubeflow/second.yaml").read_text(), yaml.CSafeLoader)
    assert ir["pipelineInfo"]["name"] == "second"


@pytest.mark.parametrize("target", ["argo", "kubeflow"])
def test_one_target(file: Path, tmp_path: Path, target: str) -> None:
    assert compile_file(file, tmp_path / "out", "--target", target).exit_code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [target]


def test_what_argo_has_no_equivalent_for_compiles_for_kubeflow_alone(file: Path, tmp_path: Path) -> None:
    file.write_text(FILE.replace("step(word=item)", "step(word=item).set_cpu_limit(item)"))
    refused = compile_file(file, tmp_path / "out", "--target", "argo")
    assert (refused.exit_code, refused.output.count("\n")) == (2, 1)
    assert "resourceCpuLimit: a resource from a parameter is not supported" in refused.output
    assert not (tmp_path / "out").exists()  # not even the pipeline before it
    assert compile_file(file, tmp_path / "out", "--target", "kubeflow").exit_code == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1", "expected a pipeline, found none"),
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def broken(:", "SyntaxError"),
        (
            "from vqi_pipelines.training import training\nfrom tests.pipelines.argo.examples import fan",
            "2 imported pipelines",
        ),
        ("from tests.pipelines.argo.examples import say, use", "2 components"),
        ("import sys\nsys.exit(3)", "it ended with sys.exit(3)"),
        ("import argparse\nargparse.ArgumentParser().add_argument('--n', required=True).x", "AttributeError"),
        ("raise ValueError('one\\ntwo')", "ValueError: one two"),
        ("from .nothing import x", "ModuleNotFoundError"),
        ("from ....... import x", "rror"),
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
    (tmp_path / "pipeline.txt").touch()
    for name, message in (("nothing.py", "there is no such file"), ("pipeline.txt", r"expected a Python file \(.py\)")):
        with pytest.raises(VqiError, match=message):
            defined_in(tmp_path / name)


STEP = """
from kfp import dsl

@dsl.container_component
def step(word: str):
    return dsl.ContainerSpec(image="tools:1", command=["run"], args=[word])
"""


def names_in(folder: Path, content: str) -> list[str]:
    (folder / "mine.py").write_text(content)
    return [one.name for one in defined_in(folder / "mine.py")]


@pytest.mark.parametrize(
    "content",
    [
        "from dataclasses import dataclass\n@dataclass\nclass Conf:\n    image: 'str' = 'x'\n",
        "assert __name__ != '__main__'\nprint('loaded')\n",
        "import argparse\nargparse.ArgumentParser().parse_args()\n",
        "import os, sys\nos.chdir('/')\nsys.path.insert(0, '/nowhere')\nsys.argv.append('x')\n",
        "from typing import NamedTuple\nclass Pair(NamedTuple):\n    a: int\n",
        "alias = None\n",
    ],
    ids=["dataclass", "main", "argparse", "process", "tuple", "plain"],
)
@pytest.mark.parametrize("end", ["", "import sys\nsys.exit()\n", "raise SystemExit(0)\n"], ids=["", "exit", "raise"])
def test_what_people_have_in_their_files(tmp_path: Path, content: str, end: str) -> None:
    body = "@dsl.pipeline(name='p')\ndef p():\n    step(word='x')\nalias = p\n"
    before = (Path.cwd(), list(sys.path), list(sys.argv))
    assert names_in(tmp_path, f"{STEP}{content}{body}{end}") == ["p"]
    assert (Path.cwd(), sys.path, sys.argv) == before
    assert "mine" not in sys.modules


@pytest.mark.parametrize("package", [True, False], ids=["package", "folder"])
@pytest.mark.parametrize("name", ["flows", "json", "my.flows"])
def test_relative_imports(tmp_path: Path, package: bool, name: str) -> None:
    folder = tmp_path / name / "training"
    folder.mkdir(parents=True)
    if package:
        (folder / "__init__.py").write_text("WORD = 'x'\n")
        (folder.parent / "__init__.py").touch()
    (folder / "steps.py").write_text(STEP)
    (folder.parent / "common.py").write_text("NAME = 'p'\n")
    body = "@dsl.pipeline(name=NAME)\ndef p():\n    step(word='x')\n"
    assert names_in(folder, f"from kfp import dsl\nfrom .steps import step\nNAME = 'near'\n{body}") == ["near"]
    assert names_in(folder, f"from kfp import dsl\nfrom .steps import step\nfrom ..common import NAME\n{body}") == ["p"]
    assert not [one for one in list(sys.modules.values()) if str(tmp_path) in str(getattr(one, "__file__", ""))]


def test_neighbours_of_one_name_in_two_folders(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "helper.py").write_text(f"NAME = '{name}'\n")
        body = "from helper import NAME\n@dsl.pipeline(name=NAME)\ndef p():\n    step(word='x')\n"
        assert names_in(tmp_path / name, STEP + body) == [name]


def test_pipelines_that_a_neighbour_makes(tmp_path: Path) -> None:
    made = "def make(label):\n    @dsl.pipeline(name=label)\n    def p():\n        step(word=label)\n    return p\n"
    (tmp_path / "factory.py").write_text(STEP + made + "inner = make('inner')\n")
    assert names_in(tmp_path, "from factory import inner, make\na = make('a')\nb = make('b')\n") == ["a", "b"]
    assert names_in(tmp_path, "from factory import inner\n") == ["inner"]
    assert names_in(tmp_path, STEP) == ["step"]  # one component, as kfp dsl compile takes it


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train", "train"), "2 pipelines of the name 'train'"),
        (("Train A", "train-a"), "2 pipelines of the name 'train-a'"),  # kfp's own form of both
        ((f"{'a' * 63}-one", f"{'a' * 63}-two"), f"are both '{'a' * 63}' in Argo"),
    ],
)  # fmt: skip
def test_two_pipelines_that_would_be_one(tmp_path: Path, names: tuple[str, str], message: str) -> None:
    bodies = [f"@dsl.pipeline(name='{name}')\ndef p{n}():\n    step(word='{n}')\n" for n, name in enumerate(names)]
    (tmp_path / "mine.py").write_text(STEP + "".join(bodies))
    result = compile_file(tmp_path / "mine.py", tmp_path / "out")
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_what_changes_nothing_on_argo_is_left_out_with_a_note(tmp_path: Path) -> None:
    body = "@dsl.pipeline(name='p', display_name='Schön', pipeline_root='s3://b/r')\ndef p():\n    step(word='x')"
    (tmp_path / "mine.py").write_text(f"{STEP}{body}.set_caching_options(True, cache_key='k')\n")
    result = compile_file(tmp_path / "mine.py", tmp_path / "out", "--target", "argo")
    assert result.exit_code == 0
    notes = result.stderr.splitlines()
    assert [note.partition(" is left out")[0] for note in notes] == [
        "note: p: pipeline_root 's3://b/r'",
        "note: root.dag.tasks.step: cache_key 'k'",
    ]
    template = yaml.load((tmp_path / "out/argo/p.yaml").read_text(), yaml.CSafeLoader)
    assert template["metadata"]["annotations"] == {"workflows.argoproj.io/title": "Schön"}


def test_a_compiled_pipeline_compiles_to_the_same(file: Path, tmp_path: Path) -> None:
    assert compile_file(file, tmp_path / "out").exit_code == 0
    for name in ("first-one", "second"):
        compiled = tmp_path / f"out/kubeflow/{name}.yaml"
        assert compile_file(compiled, tmp_path / "again").exit_code == 0
        for target in ("argo", "kubeflow"):
            paths = [tmp_path / folder / target / f"{name}.yaml" for folder in ("out", "again")]
            assert paths[0].read_text() == paths[1].read_text()
    (tmp_path / "no.yaml").write_bytes(b"\xff")
    refused = compile_file(tmp_path / "no.yaml", tmp_path / "out")
    assert (refused.exit_code, refused.output.count("\n")) == (2, 1)
