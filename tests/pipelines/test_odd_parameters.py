"""Parameter files and ``-p`` of every odd kind: refused in one line, or a value that every backend can hold."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import fuzz_cases
from vqi.errors import VqiError
from vqi.redaction import shown_line
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.graph import Pipeline
from vqi_pipelines.ir.values import to_text
from vqi_pipelines.parameters import absolute_paths, check_parameters, check_ranges, read_parameters


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return read_ir(training_ir())


def checked(pipeline: Pipeline, files: list[Path], assignments: list[str]) -> dict[str, Any]:
    """As ``vqi run`` does it."""
    values = check_parameters(pipeline, read_parameters(files, assignments))
    check_ranges(values)
    return absolute_paths(values)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: 1\nseed: 2\n", "line 2: the key 'seed' is a duplicate"),
        ("finetune: {lr: 1, lr: 2}\n", "line 1: the key 'lr' is a duplicate"),
        ("a: &a [1]\nb: *a\n", r"line 2: a reference \(\*a\): write the value itself"),
        ("seed: !!python/object:os.system x\n", "could not determine a constructor"),
        ("finetune: {lr: 2020-01-01}\n", r"finetune.lr: expected a text, .* got 2020-01-01 \(date\)"),
        ("finetune: {lr: !!binary aGk=}\n", "finetune.lr: .*bytes"),
        ("finetune: {lr: .inf}\n", "finetune.lr: expected a number that can be computed with, got inf"),
        ("finetune: {1: 2}\n", "finetune: expected texts as keys, got 1: put it in quotes"),
        ("categories: !!set {a, b}\n", "set"),
        (f"finetune: {'[' * 3000}\n", "deep|expected"),
        (f"finetune: {'{a: ' * 70}1{'}' * 70}\n", "more than 64 deep"),
        ("- a\n", "got: list"),
        ("? [a]\n: 1\n", "expected a text as key"),
        ("source: \"folder:/a\\0b\"\n", "without a character of value 0"),
        ("source: \"folder:\\ud800\"\n", "UTF-8|surrogate|expected"),
        ("source: folder:~no-such-user/x\n", "there is no home folder of '~no-such-user'"),
        (f"source: {'x' * 200_000}\n", "more than 128 KiB"),
    ],
)  # fmt: skip
def test_a_file_is_refused_in_one_line(text: str, said: str, pipeline: Pipeline, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(text)
    with pytest.raises(VqiError, match=said) as caught:
        checked(pipeline, [file], [])
    assert len(shown_line(str(caught.value))) < 1000


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", '{"a": NaN}', '{"lr": 1, "lr": 2}', "[" * 5000])
def test_numbers_and_mappings_that_json_does_not_have(text: str, pipeline: Pipeline) -> None:
    for name in ("finetune", "seed", "variance", "limit_per_class"):
        with pytest.raises(VqiError):
            checked(pipeline, [], [f"{name}={text}"])


def test_texts_that_yaml_takes_for_something_else_are_refused_not_changed(pipeline: Pipeline, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    for text in ("2020-01-01", "null", "true", "1e3", "0x10", "12:30:00"):
        file.write_text(f"categories: [{text}]\nsource: {text}\n")
        with pytest.raises(VqiError):
            checked(pipeline, [file], [])
        file.write_text(f"categories: ['{text}']\nurl: ''\n")
        assert checked(pipeline, [file], [])["categories"] == [text]


def test_a_secret_in_a_bad_value_is_not_shown(pipeline: Pipeline) -> None:
    with pytest.raises(VqiError) as caught:
        checked(pipeline, [], ["source=https://me:planted@host/x?sig=planted"])
    assert "planted" not in shown_line(str(caught.value))


ATOMS = [
    "null", "~", "true", "yes", "1", "-1", "1.5", "1e3", "1e999", ".inf", ".nan", "0x1F", "0o17", "1_000", "2020-01-01", "2020-01-01T00:00:00Z",
    "12:30", "''", "'a'", '"\\0"', '"\\ud800"', "é", "\x01", "x" * 300, "*a", "&a 1", "!!set {a}", "!!omap [a: 1]", "!!binary aGk=", "!!python/name:os.system",
    "!custom x", "[1, 2]", "{a: 1}", "{a: 1, a: 2}", "[[[]]]", "<<", "|\n  x", ">", "%", "@x", "`", "? x", "- 1", "{", "]", "~nobody/x", "folder:~nobody/x",
    "csv:https://u:p@h/x?y", "s3://", "file://", "10000000000000000000000", "NaN", "Infinity", "-Infinity", '{"lr": NaN}', "[null]", "[a, [b, {c: 2020-01-01}]]",
]  # fmt: skip


@pytest.mark.no_cover
def test_no_file_and_no_assignment_ends_in_a_traceback(pipeline: Pipeline, tmp_path: Path) -> None:
    """What is accepted, every backend can hold: as JSON, as a text of a command line, as a file."""
    file = tmp_path / "p.yaml"
    names = [*pipeline.inputs, "no-such", "", "1"]
    refused: list[str] = []
    for seed in range(fuzz_cases(150, 2700)):
        chance = random.Random(seed)
        lines = [f"{chance.choice(names)}: {chance.choice(ATOMS)}" for _ in range(chance.randint(0, 3))]
        text = "\n".join(lines).encode("utf-8", "surrogatepass") + bytes(
            chance.choices(range(256), k=chance.choice([0, 0, 0, 5]))
        )
        file.write_bytes(text)
        assignments = [f"{chance.choice(names)}={chance.choice(ATOMS)}" for _ in range(chance.randint(0, 2))]
        try:
            values = checked(pipeline, [file] if chance.random() < 0.7 else [], assignments)
        except VqiError as error:
            refused.append(shown_line(str(error)))
            continue
        json.dumps(values, allow_nan=False)
        for value in values.values():
            to_text(value).encode()
            assert "\0" not in to_text(value)
    assert refused
    assert not [line for line in refused if "\n" in line]
