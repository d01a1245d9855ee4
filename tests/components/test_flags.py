"""Any text is a value of a text flag; any command line ends in one line or runs."""

import importlib
import json
import random
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.fuzz import fuzz_cases
from vqi.errors import VqiError
from vqi.records import describe
from vqi_components import step
from vqi_components.flags import SECRETS, flag_of, parse

FOLDERS = sorted(path.parent.name for path in (Path(__file__).parents[2] / "components").glob("*/component.py"))
ODD = [
    "null",
    "None",
    "-A7",
    "--help",
    "--category",
    "true",
    "1e3",
    "@x",
    "  x",
    "",
    "=",
    "a=b",
    "-",
    "--",
    "~",
    "\n",
    "'\"",
    "{}",
    "[",
    "#",
    "%s",
]


def model_of(name: str) -> Any:
    return importlib.import_module(f"vqi_components.{name}.__main__").Arguments


def required(model: Any) -> dict[str, str]:
    return {name: "x" for name, info in model.model_fields.items() if info.is_required()}


ONLY_SOME = ("method", "sha256", "layer", "group_by", "image_size")  # text flags that take only some texts
TEXT_FLAGS = [
    (name, field)
    for name in FOLDERS
    for field, info in model_of(name).model_fields.items()
    if info.annotation is str and field not in ONLY_SOME
]


def flags(values: dict[str, str]) -> list[str]:
    return [text for field, value in values.items() for text in (flag_of(field), value)]


@pytest.mark.parametrize(("name", "field"), TEXT_FLAGS)
def test_any_text_arrives_as_it_is(name: str, field: str) -> None:
    model = model_of(name)

    @settings(max_examples=fuzz_cases(20, 500))
    @given(st.one_of(st.sampled_from(ODD), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
    def arrives(text: str) -> None:
        assume(text or not model.model_fields[field].metadata)  # some want at least one letter
        values = {**required(model), field: text}
        assert getattr(parse(name, model, flags(values), {}), field) == text
        assert (
            getattr(parse(name, model, [f"{flag_of(key)}={value}" for key, value in values.items()], {}), field) == text
        )

    arrives()


def test_there_are_text_flags() -> None:
    assert {("preprocess", "category"), ("dataset_download", "url"), ("preprocess", "dataset")} <= set(TEXT_FLAGS)


def test_lists_of_any_texts_arrive_as_they_are() -> None:
    model = model_of("dataset_download")
    values = {**required(model), "only_categories": json.dumps(ODD)}
    assert parse("dataset_download", model, flags(values), {}).only_categories == ODD


def test_a_redacted_flag_gets_its_whole_value_and_the_variable_goes_no_further() -> None:
    model = model_of("dataset_download")
    environment = {SECRETS: json.dumps({"url": "https://me:pass@host/a"})}
    values = {**required(model), "url": "https://***@host/a"}
    assert parse("dataset_download", model, flags(values), environment).url == "https://me:pass@host/a"
    assert environment == {}
    with pytest.raises(VqiError, match="it is set by 'vqi run' only"):
        parse("dataset_download", model, flags(values), {SECRETS: "x"})


def test_the_home_folder_in_a_paths_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    model = model_of("pca_fit")
    assert parse("pca_fit", model, ["--features=~/f", "--detector", "~/d"], {}).features == Path("/home/me/f")


def command_line(chance: random.Random, name: str) -> list[str]:
    """Flags of a step with values of every kind, in odd orders, cut off, twice, and with bytes that are no text."""
    model = model_of(name)
    values = [
        "1",
        "-1",
        "1e999",
        "NaN",
        "[]",
        '["a"]',
        "[" * 5000,
        '{"a": 1}',
        "true",
        "x" * 1000,
        "\udcff",
        "~nobody/x",
        "/dev/null",
        "é",
        "0x10",
        "1_0",
        *ODD,
    ]
    texts = chance.choice([[], flags(required(model))])
    for field in chance.choices([*model.model_fields, "no-such"], k=chance.choice([0, 1, 2, 3, 12])):
        texts += chance.choice(
            [
                [flag_of(field), chance.choice(values)],
                [f"{flag_of(field)}={chance.choice(values)}"],
                [flag_of(field)],
                [chance.choice(values)],
            ]
        )
    return texts


def test_no_command_line_ends_in_a_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in range(fuzz_cases(140, 5000)):
        chance = random.Random(seed)
        name = chance.choice(FOLDERS)
        argv = command_line(chance, name)
        try:
            code = step.main(name, model_of(name), lambda arguments: None, argv)
        except SystemExit as end:  # --help
            code = int(end.code or 0)
        errors = capsys.readouterr().err
        assert code == 0 or (code == 2 and errors.startswith("error: ") and errors.count("\n") == 1), (argv, errors)
        assert all(one in string.printable or one.isprintable() for one in errors), errors


def test_one_line_for_several_problems() -> None:
    with pytest.raises(ValueError, match="folds") as caught:
        parse("pca_fit", model_of("pca_fit"), ["--folds", "x", "--features", "a", "--detector", "b"], {})
    assert "\n" not in describe(caught.value)  # type: ignore[arg-type]
