"""Python components on Argo: their command, run as the pod runs it, leaves each output in a file of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.pipelines.argo import examples
from tests.pipelines.argo.walker import expanded
from vqi_pipelines.argo import lower
from vqi_pipelines.compiled import ir_of
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.python_components import installs_packages, is_python_component, without_installation


def container_of(pipeline: Any) -> dict[str, Any]:
    document = lower(read_ir(ir_of(pipeline))).model_dump(by_alias=True, exclude_none=True, mode="json")
    (template,) = (one for one in document["spec"]["templates"] if "container" in one)
    return dict(template["container"])


def test_return_values_and_metadata_become_files(tmp_path: Path) -> None:
    container = container_of(examples.python)
    filled = {
        "{{inputs.parameters.a}}": "2",
        "{{=toJson(inputs.parameters['text'])}}": '"a\\"b"',
        "/outputs": str(tmp_path),
    }
    command = [*container["command"], *container["args"]]
    for reference, value in filled.items():
        command = [text.replace(reference, value) for text in command]
    command = [expanded(text) for text in command]
    own = command.index(next(text for text in command if "pip install" in text)) - 2
    command = [*command[:own], *without_installation(command[own:])]  # kfp is installed here
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    subprocess.run(command, env={"PATH": path, "HOME": str(tmp_path)}, check=True, cwd=tmp_path)
    assert (tmp_path / "total").read_text() == "5"
    assert (tmp_path / "words").read_text() == '["a\\"b"]'
    assert json.loads((tmp_path / "shown").read_text()) == {"share": 0.5}


def test_the_end_of_the_function_is_the_end_of_the_step(tmp_path: Path) -> None:
    spread = container_of(examples.python)["command"][:3]
    done = subprocess.run([*spread, str(tmp_path / "none"), "sh", "-c", "exit 3"], check=False)
    assert done.returncode == 3


def test_only_python_components_are_wrapped() -> None:
    assert container_of(examples.one_step)["command"] == ["run", "hello"]
    command = read_ir(ir_of(examples.python)).components["comp-add"].container.command
    assert is_python_component(command)
    assert installs_packages(command)
    assert not installs_packages(without_installation(command))
    assert without_installation(["sh", "-c", "pip install x"]) == ["sh", "-c", "pip install x"]


def test_its_inputs_are_not_left_out() -> None:
    """What a step of somebody else reads from ``{{$}}`` is there, also under the name that the project's own steps have."""
    template = yaml.safe_dump(container_of_train())
    assert "--executor-input" in template
    assert '"outputFile"' in template


def container_of_train() -> dict[str, Any]:
    return container_of(examples.constants)
