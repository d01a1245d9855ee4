"""A step has one set of parameters: that of its config model. Its declaration and its command agree with it."""

import ast
import functools
import importlib
import json
import re
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from vqi import config
from vqi_components import step

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent.name for path in (ROOT / "components").glob("*/component.py"))
KFP_TYPES = {str: "String", int: "Integer", float: "Float", bool: "Boolean"}
EXECUTOR_INPUT = ("--executor-input", "{{$}}")  # exactly so: the lowering to Argo recognises it by this form
DRAWN = ("system.Metrics", "system.ClassificationMetrics", "system.HTML", "system.Markdown")
PLACEHOLDER = re.compile(r"\{\{\$\.(inputs|outputs)\.(parameters|artifacts)\['(\w+)'\](\.path|\.output_file)?\}\}")


def declared(name: str) -> Any:
    return getattr(importlib.import_module(f"vqi_components.{name}.component"), name).component_spec


def command(name: str) -> ModuleType:
    return importlib.import_module(f"vqi_components.{name}.__main__")


def model_of(name: str) -> type[config.StepConfig]:
    """The config model that the step's Arguments extend."""
    (base,) = command(name).Arguments.__bases__
    assert issubclass(base, config.StepConfig)
    return base


def kfp_type(field: FieldInfo) -> str:
    """The kfp type of a config field; a choice of texts is a text."""
    annotation: Any = field.annotation
    if annotation in KFP_TYPES:
        return KFP_TYPES[annotation]
    return next((name for start, name in (("list", "List"), ("dict", "Dict")) if start in str(annotation)), "String")


def flags_of(name: str) -> list[tuple[str, str]]:
    """The declared flags with their values, without what only Kubeflow fills in."""
    args = [str(arg) for arg in declared(name).implementation.container.args]
    return [pair for pair in zip(args[::2], args[1::2], strict=True) if pair != EXECUTOR_INPUT]


def split_inputs(name: str) -> tuple[dict[str, Any], set[str]]:
    """Declared parameters, and the names of declared artifacts."""
    inputs = declared(name).inputs or {}
    parameters = {key: spec for key, spec in inputs.items() if "@" not in spec.type}  # artifacts: schema@version
    return parameters, set(inputs) - set(parameters)


def test_every_folder_is_a_step() -> None:
    folders = {path.name for path in (ROOT / "components").iterdir() if (path / "__init__.py").exists()}
    assert set(FOLDERS) == folders
    assert len(FOLDERS) >= 8


@pytest.mark.parametrize("name", FOLDERS)
def test_folder_function_and_command_share_a_name(name: str) -> None:
    container = declared(name).implementation.container
    assert declared(name).name == name.replace("_", "-")
    assert container.command == ["python", "-m", f"vqi_components.{name}"]
    assert model_of(name).__name__ == "".join(word.capitalize() for word in name.split("_"))


@pytest.mark.parametrize("name", FOLDERS)
def test_declared_parameters_are_those_of_the_config_model(name: str) -> None:
    parameters, _ = split_inputs(name)
    got = {key: (spec.type, None if not spec.optional else spec.default) for key, spec in parameters.items()}
    fields = model_of(name).model_fields
    assert got == {
        key: (kfp_type(field), None if field.is_required() else field.default) for key, field in fields.items()
    }


@pytest.mark.parametrize("name", FOLDERS)
def test_args_name_exactly_the_flags_and_each_gets_its_own(name: str) -> None:
    flags = flags_of(name)
    arguments = command(name).Arguments.model_fields.keys() - {"executor_input"}
    assert sorted(flag for flag, _ in flags) == sorted(f"--{key.replace('_', '-')}" for key in arguments)
    for flag, value in flags:
        found = PLACEHOLDER.fullmatch(value)
        assert found, value
        assert found[3] == flag.removeprefix("--").replace("-", "_")
    spec = declared(name)
    assert {PLACEHOLDER.fullmatch(value)[3] for _, value in flags} == {  # type: ignore[index]
        *(spec.inputs or {}),
        *(spec.outputs or {}),
    }


@pytest.mark.parametrize("name", FOLDERS)
def test_what_kubeflow_draws_comes_with_metadata(name: str) -> None:
    """A step with such an output asks for what Kubeflow states about its outputs, and no other step does."""
    drawn = [spec.type for spec in (declared(name).outputs or {}).values() if spec.type.startswith(DRAWN)]
    args = [str(arg) for arg in declared(name).implementation.container.args]
    assert (EXECUTOR_INPUT in pairwise(args)) == bool(drawn)
    assert ("executor_input" in command(name).Arguments.model_fields) == bool(drawn)


@pytest.mark.parametrize("name", FOLDERS)
def test_compiled_args_parse_to_the_defaults(name: str) -> None:
    """What a backend passes is, text by text, what the step's command reads."""
    parameters, _ = split_inputs(name)
    example = {key: spec.default if spec.optional else ["x"] if spec.type == "List" else "x" for key, spec in
               parameters.items()}  # fmt: skip

    def filled(match: re.Match[str]) -> str:
        if match[1] == "inputs" and match[2] == "parameters":
            value = example[match[3]]
            return value if isinstance(value, str) else json.dumps(value)
        return f"/somewhere/{match[3]}"

    argv = [PLACEHOLDER.sub(filled, arg) for pair in flags_of(name) for arg in pair]
    parsed = step.parse(name, command(name).Arguments, argv)
    assert step.settings_of(parsed, model_of(name)).model_dump() == example
    paths = set(command(name).Arguments.model_fields) - set(example) - {"executor_input"}
    assert {key: str(getattr(parsed, key)) for key in paths} == {key: f"/somewhere/{key}" for key in paths}


def test_defaults_stand_in_the_config_only() -> None:
    """A declaration takes its defaults from the model, so that no number is written twice."""
    for name in FOLDERS:
        tree = ast.parse((ROOT / "components" / name / "component.py").read_text())
        (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        for default in function.args.defaults:
            assert isinstance(default, ast.Attribute), f"{name}: {ast.unparse(default)}"


CONFIGS = ("arguments", "settings", "wanted", "request", "division")  # what a config model, or a part, is called


@functools.cache
def attributes_read() -> dict[str, set[str]]:
    """Every attribute name that code outside config.py and the declarations reads, by file."""
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "components").rglob("*.py")]
    return {
        str(path): {
            node.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
            and isinstance(node.value, ast.Name) and node.value.id in CONFIGS
        }
        for path in files
        if path.name not in ("config.py", "component.py")
    }  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_every_setting_is_read(name: str) -> None:
    """A field that no code reads has no effect."""
    read = set().union(*attributes_read().values())
    unread = set(model_of(name).model_fields) - read
    # the keys of `finetune` are read by the methods, each from a model of its own
    assert unread <= {"finetune"}, f"{name}: no code reads {sorted(unread)}"


@pytest.mark.parametrize("method", config.FINETUNE)
def test_every_key_of_finetune_is_read(method: str) -> None:
    files = (ROOT / "src" / "vqi" / "self_supervised").glob("*.py")
    text = "".join(path.read_text() for path in files if path.stem not in {*config.FINETUNE} - {method})
    read = set(re.findall(r"\b(?:settings|options)\.(\w+)", text))
    unread = set(config.FINETUNE[method].model_fields) - read
    assert not unread, f"{method}: no code reads {sorted(unread)}"
