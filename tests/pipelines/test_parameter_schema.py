"""The JSON schema of a parameter file refuses what the reader of the file refuses, and nothing else."""

import functools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker

from vqi import config
from vqi.errors import VqiError
from vqi.sizes import LONGEST, wanted_size
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.graph import Pipeline
from vqi_pipelines.parameter_schema import parameter_fields, parameter_schema, words
from vqi_pipelines.parameters import check_parameters, check_ranges, read_parameters

EXAMPLES = sorted((Path(__file__).parents[2] / "pipelines" / "params").glob("*.yaml"))
FINETUNE = [(method, name) for method, model in config.FINETUNE.items() for name in model.model_fields]
# Of these two values the schema knows each, and nothing of both together.
PAIRS = {"patch_area": [0.01, 0.5], "patch_aspect": [0.5, 2.0], "scar_width": [2, 8], "scar_length": [5, 9]}

# Texts as people type them. A list or a number that is written as a text is read, too, but is no value of its type.
plain = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), max_size=8)
near = st.sampled_from(["auto", "fit", "320", "fit:416", "208x512", "elpv", "folder:/data", "pca", "none", "exif:10"])
broken = st.sampled_from(["foldr:x", "exif:", "exif:ten", "fit:9999", "12x12", "(", "", "autos", "0" * 64, "0" * 63])
numbers = st.sampled_from([-1, 0, 1, 2, 31, 32, 100, 1024, 2049, 10**6, 2**31 - 1, 2**31, 2**53 - 1, 2**53])
fractions = st.sampled_from([-0.5, 0.0, 1e-9, 0.05, 0.5, 1.0, 1.5, 10.5])
texts = st.one_of(near, broken, plain)
lists = st.lists(st.one_of(plain, st.sampled_from(["a", "b"]), numbers), max_size=3)
values = st.one_of(texts, numbers, fractions, st.booleans(), st.none(), lists, st.just({"patience": 3}))


@functools.cache
def pipeline() -> Pipeline:
    return read_ir(training_ir())


@functools.cache
def validator() -> Draft7Validator:
    schema = parameter_schema()
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema, format_checker=FormatChecker(["regex"]))


def refused(file: Path) -> str:
    """What the reader says of a parameter file; '' where it takes it."""
    try:
        check_ranges(check_parameters(pipeline(), read_parameters([file], [])))
    except VqiError as error:
        return str(error)
    return ""


def by_schema(file: Path) -> str:
    """What the schema says of a parameter file."""
    return "; ".join(error.message for error in validator().iter_errors(yaml.safe_load(file.read_text())))


def both(folder: Path, content: Any) -> tuple[str, str]:
    file = folder / "parameters.yaml"
    file.write_text(yaml.safe_dump(content))
    return refused(file), by_schema(file)


def of_its_own_type(name: str, value: Any) -> bool:
    """Whether a value is not written as a text that stands for another type, and not as a float for a size."""
    kind = pipeline().inputs[name].type
    return not ((isinstance(value, str) and kind != "STRING") or (isinstance(value, float) and name == "image_size"))


def test_its_parameters_are_those_of_the_pipeline() -> None:
    assert set(parameter_schema()["properties"]) == set(pipeline().inputs)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_the_example_files_fit(file: Path) -> None:
    assert (refused(file), by_schema(file)) == ("", "")


def test_the_defaults_fit() -> None:
    defaults = {name: one["default"] for name, one in parameter_schema()["properties"].items()}
    assert not list(validator().iter_errors(defaults))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"target_fp": 0.05}, "target_fp"),
        ({"target_fpr": 1.5}, "1.5"),
        ({"epochs": "many", "method": "simsiam"}, "many"),
        ({"categories": "mono"}, "mono"),
        ({"detector": "pcaa"}, "pcaa"),
        ({"image_size": "fit:9999"}, "fit:9999"),
        ({"layer": ["blocks.3", "blocks.3"]}, "blocks.3"),
        ({"layer": [1]}, "1"),
        ({"method": "pretrained", "epochs": 3}, "0 was expected"),
        ({"method": "cutpaste", "epochs": 1}, "1 is less than the minimum of 2"),
        ({"method": "cutpaste", "epochs": 4, "finetune": {"crop_min_scale": 0.5}}, "crop_min_scale"),
        ({"method": "simsiam", "epochs": 4, "finetune": {"lr": -1}}, "-1"),
        (["source"], "source"),
    ],
    ids=str,
)
def test_wrong_ones_are_refused(content: Any, named: str, tmp_path: Path) -> None:
    file = tmp_path / "parameters.yaml"
    file.write_text(yaml.safe_dump(content))
    assert named in by_schema(file)
    if content != {"categories": "mono"}:  # what a command line has to write, and therefore a file may
        assert refused(file)


def test_backbones_that_are_known_fit_and_the_reader_alone_knows_them_all(tmp_path: Path) -> None:
    assert both(tmp_path, {"backbone": "resnet18", "layer": "layer3"}) == ("", "")
    assert all(both(tmp_path, {"backbone": 18}))
    by_reader, said = both(tmp_path, {"backbone": "resnet18", "layer": "layer5"})
    assert "unknown layer 'layer5'" in by_reader
    assert said == ""
    by_reader, said = both(tmp_path, {"backbone": "resnet19"})
    assert "unknown backbone 'resnet19'" in by_reader
    assert said == ""


@pytest.mark.parametrize(
    "name", [name for name in parameter_schema()["properties"] if name not in ("finetune", "backbone")]
)
def test_it_is_of_the_readers_opinion(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # which names of layers there are the reader alone knows, too; here the forms are compared
    monkeypatch.setattr("vqi_pipelines.layers.listed_layers", lambda backbone: None)
    beside = {"epochs": {"method": "simsiam"}, "method": {"epochs": 4}}.get(name, {})

    @settings(max_examples=12, deadline=None, database=None)
    @given(values.filter(lambda value: of_its_own_type(name, value)))
    def agree(value: Any) -> None:
        by_reader, said = both(tmp_path, {**beside, name: value})
        assert bool(by_reader) == bool(said), f"{value!r}: reader: {by_reader or 'fits'}; schema: {said or 'fits'}"

    agree()


def test_the_pattern_of_sizes_has_the_readers_range() -> None:
    pattern = re.compile(parameter_schema()["properties"]["image_size"]["anyOf"][0]["pattern"])
    digits = [f"{number:0{width}}" for number in range(2 * LONGEST) for width in (1, 3, 4, 5)]
    for text in (form.format(side) for side in digits for form in ("{}", "fit:{}", "{}x320", "64x{}")):
        assert bool(pattern.search(text)) == _is_size(text), text


def _is_size(text: str) -> bool:
    try:
        wanted_size(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(("method", "name"), FINETUNE)
def test_it_is_of_the_readers_opinion_of_a_methods_keys(method: str, name: str, tmp_path: Path) -> None:
    apart = {"image_size": st.sampled_from([0, 32, 2048, 2049, "a"]), "freeze_epochs": st.sampled_from([-1, 0, 3, "a"])}
    pair = st.sampled_from([PAIRS.get(name, []), [0.1, "a"], [1], []])
    drawn = pair if name in PAIRS else apart.get(name, values.filter(lambda value: not _stands_for_a_number(value)))

    @settings(max_examples=6, deadline=None, database=None)
    @given(drawn)
    def agree(value: Any) -> None:
        by_reader, said = both(tmp_path, {"method": method, "epochs": 9, "finetune": {name: value}})
        assert bool(by_reader) == bool(said), f"{value!r}: reader: {by_reader or 'fits'}; schema: {said or 'fits'}"

    agree()


def _stands_for_a_number(value: Any) -> bool:
    """What pydantic reads as a number within ``finetune``, and is none in the schema: a text, true and false."""
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().replace(".", "").isdigit())


@pytest.mark.parametrize("name", parameter_fields())
def test_the_words_are_values(name: str) -> None:
    for word in words(name):
        beside = {} if name != "method" or word == "pretrained" else {"epochs": "4"}
        check_ranges(check_parameters(pipeline(), {**beside, name: f"{word}100" if word.endswith(":") else word}))


def test_each_choice_is_a_word() -> None:
    assert words("precision") == ["auto", "fp32", "bf16"]
    assert words("with_verdicts") == ["true", "false"]
    assert {"ensemble", "pca"} <= set(words("detector"))
    assert {"folder:", "elpv"} <= set(words("source"))
    assert words("seed") == []


def test_the_example_of_the_guide_fits(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "editors.md").read_text()
    (text,) = re.findall("^```yaml\n(.*?)^```", guide, flags=re.DOTALL | re.MULTILINE)
    file = tmp_path / "parameters.yaml"
    file.write_text(text)
    assert text.startswith("# yaml-language-server: $schema=")
    assert (refused(file), by_schema(file)) == ("", "")
