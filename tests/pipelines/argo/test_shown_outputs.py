"""Output parameters of the pipeline are outputs of the workflow, which ``argo get`` prints."""

from typing import Any

import yaml
from kfp import dsl

from tests.pipelines.argo.examples import say
from vqi_pipelines.argo import lower
from vqi_pipelines.compiled import ir_of, training_ir
from vqi_pipelines.ir import read_ir


def shown(ir: Any) -> list[tuple[str, str, str]]:
    """Template, output and name in the workflow, of all outputs that are outputs of the workflow."""
    return [
        (template.name, parameter.name, parameter.global_name)
        for template in lower(read_ir(ir)).spec.templates
        for parameter in (template.outputs.parameters if template.outputs else None) or ()
        if parameter.global_name
    ]


def test_what_became_of_the_categories() -> None:
    assert shown(training_ir()) == [("summarize", "decisions", "decisions")]


def test_the_output_of_one_step() -> None:
    @dsl.pipeline(name="once")
    def once(word: str = "a") -> str:
        return say(word=word).output

    assert shown(ir_of(once)) == [("say", "out", "Output")]


def test_of_a_step_in_two_places_the_one_that_is_returned() -> None:
    @dsl.pipeline(name="twice")
    def twice(word: str = "a") -> str:
        return say(word=say(word=word).output).output

    assert shown(ir_of(twice)) == [("say-2", "out", "Output")]


def test_places_that_share_a_template_would_write_over_each_other() -> None:
    @dsl.pipeline(name="shared")
    def shared(word: str = "a") -> str:
        first = say(word=word)
        return say(word=word).after(first).output

    ir = yaml.load(ir_of(shared), yaml.CSafeLoader)
    (again,) = (task for name, task in ir["root"]["dag"]["tasks"].items() if name != "say")
    again["componentRef"] = ir["root"]["dag"]["tasks"]["say"]["componentRef"]
    assert shown(yaml.safe_dump(ir)) == []


def test_a_step_of_a_graph_inside_is_not_the_pipelines_own() -> None:
    @dsl.pipeline(name="inside")
    def inside(word: str) -> str:
        return say(word=word).output

    @dsl.pipeline(name="outside")
    def outside(word: str = "a") -> str:
        return inside(word=word).output

    assert shown(ir_of(outside)) == []


def test_folders_with_a_page_are_stored_under_the_name_of_one() -> None:
    """By that name Argo's page shows them in their place, without being asked."""
    templates = lower(read_ir(training_ir())).spec.templates
    artifacts = [
        one for template in templates for one in (template.outputs.artifacts if template.outputs else None) or ()
    ]
    keys = {one.name: one.s3.key for one in artifacts if one.name.endswith("_folder")}
    assert sorted(keys) == ["data_page_folder", "decided_report_folder"]
    # behind the folder of the step, which ends with a slash
    assert all(key.endswith(f"{{{{inputs.parameters.key-prefix}}}}{name}.html") for name, key in keys.items())
