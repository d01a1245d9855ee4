"""The config models: refusals, ranges, defaults."""

import json

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from vqi import config
from vqi.config import (
    CutPaste,
    DatasetDownload,
    FeatureExtract,
    PcaFit,
    Preprocess,
    SslFinetune,
    StepConfig,
    Summarize,
    defaults,
)

MODELS = sorted(
    (
        value
        for value in vars(config).values()
        if isinstance(value, type) and issubclass(value, StepConfig) and value is not StepConfig
    ),
    key=lambda model: model.__name__,
)


@pytest.mark.parametrize("model", MODELS)
def test_every_parameter_says_what_it_means_and_its_default_is_in_range(model: type[StepConfig]) -> None:
    assert model.__doc__
    required = {name: "x" for name, field in model.model_fields.items() if field.is_required()}
    values = {
        name: field.default for name, field in model.model_fields.items() if field.default is not PydanticUndefined
    }
    made = model.model_validate({**values, **required})  # pydantic does not check a default by itself
    assert {name: getattr(made, name) for name in values} == values
    for name, field in model.model_fields.items():
        assert field.description, name


@pytest.mark.parametrize("model", MODELS)
def test_unknown_keys_are_refused_and_values_do_not_change(model: type[StepConfig]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model.model_validate({"no_such_setting": 1})
    if model is PcaFit:
        with pytest.raises(ValidationError, match="frozen"):
            PcaFit().variance = 0.5  # type: ignore[misc]


def test_cutpastes_learning_rate_is_of_its_optimizer() -> None:
    assert (CutPaste().optimizer, CutPaste().lr) == ("adamw", 0.001)
    assert CutPaste(optimizer="sgd").lr == 0.03
    assert CutPaste(optimizer="sgd", lr=0.1).lr == 0.1


def test_settings_in_full_name_the_defaults() -> None:
    full = SslFinetune(method="cutpaste", epochs=2, finetune={"variant": "scar"}).in_full()
    assert (full["finetune"]["variant"], full["finetune"]["optimizer"]) == ("scar", "adamw")
    assert SslFinetune().in_full()["finetune"] == {}


def test_the_default_setting_is_the_one_in_the_readme_and_the_issue() -> None:
    assert defaults(DatasetDownload).source == "elpv"
    assert defaults(PcaFit).target_fpr == 0.05
    assert defaults(PcaFit).variance == 0.99
    assert defaults(FeatureExtract).engine == "auto"
    assert not hasattr(defaults(Preprocess), "category")


@pytest.mark.parametrize(
    ("model", "values"),
    [
        (PcaFit, {"variance": 1}),
        (PcaFit, {"variance": "nan"}),
        (PcaFit, {"target_fpr": 0}),
        (PcaFit, {"folds": 2.5}),
        (PcaFit, {"seed": 2**31}),
        (FeatureExtract, {"engine": "cuda"}),
        (FeatureExtract, {"precision": "fp16"}),
        (FeatureExtract, {"pool": 65}),
        (SslFinetune, {"epochs": -1, "method": "simsiam"}),
        (SslFinetune, {"epochs": 1}),
        (SslFinetune, {"epochs": 2, "method": "cutpaste", "finetune": {"lr": float("nan")}}),
        (SslFinetune, {"epochs": 2, "method": "cutpaste", "finetune": {"image_size": 31}}),
        (SslFinetune, {"epochs": 2, "method": "cutpaste", "finetune": {"patch_area": [0.1, float("nan")]}}),
        (SslFinetune, {"epochs": 2, "method": "cutpaste", "finetune": {"scar_width": [5, 4]}}),
        (SslFinetune, {"weights": ""}),
        (DatasetDownload, {"source": ""}),
        (DatasetDownload, {"only_categories": "mono"}),
        (DatasetDownload, {"only_categories": [1]}),
        (Summarize, {"run": ""}),
    ],
)
def test_out_of_range(model: type[StepConfig], values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(values)


def test_lists_are_one_json_text_on_a_command_line() -> None:
    texts = ['{"a": "ä"}', "x, y"]
    assert DatasetDownload(only_categories=json.dumps(texts)).only_categories == texts  # type: ignore[arg-type]
    assert DatasetDownload(only_categories=texts).only_categories == texts
