"""What the training pipeline's parameters may be, from ``vqi.config``: as a JSON schema of a parameter file, by which
editors complete and check it, and as the words that a shell completes."""

from __future__ import annotations

import json
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from vqi import config

# Parameters of steps that have another name in the pipeline.
PIPELINE_NAMES = {"only_categories": "categories", "backbone_name": "backbone", "kind": "detector"}
# Settings that a step is given by the step before it, or by what runs it.
_GIVEN = frozenset({"dataset", "category", "recipe", "run", "summary"})

DIALECT = "http://json-schema.org/draft-07/schema#"  # that editors know best
# Digits from vqi.sizes.SHORTEST to LONGEST, as its form has them: four at most, zeros before them or not.
_SIDE = "(0{0,2}(3[2-9]|[4-9][0-9])|0?[1-9][0-9]{2}|1[0-9]{3}|20[0-3][0-9]|204[0-8])"
_SAID = """\
Names, types and ranges of the training pipeline's parameters. What depends on other things than one value, 'vqi run' \
checks before it starts: a pair's order, freeze_epochs below epochs, whether a backbone exists \
and has the layers."""


def settings() -> dict[str, tuple[type[config.StepConfig], str]]:
    """The parameters in the order of the data path, each once: its model, its name there."""
    found: dict[str, tuple[type[config.StepConfig], str]] = {}
    for model in config.STEPS:
        for field in model.model_fields:
            if field not in _GIVEN:
                found.setdefault(PIPELINE_NAMES.get(field, field), (model, field))
    return found


def parameter_fields() -> dict[str, FieldInfo]:
    """The parameters in the same order, with what is said of each."""
    return {name: model.model_fields[field] for name, (model, field) in settings().items()}


def words(name: str) -> list[str]:
    """The values of a parameter that have names; where others are possible, too, those that are best known."""
    field = parameter_fields()[name]
    if get_origin(field.annotation) is Literal:
        return list(get_args(field.annotation))
    if field.annotation is bool:
        return ["true", "false"]
    if name == "source":
        from vqi.datasets.sources import SOURCES, TAKE_URL

        alone = TAKE_URL | {"elpv"}  # nothing stands after their names
        return [source if source in alone else f"{source}:" for source in sorted(SOURCES)]
    if name == "detector":
        from vqi.detectors.registry import DETECTORS

        return list(DETECTORS)
    return {
        "method": ["pretrained", *config.FINETUNE],
        "weights": ["pretrained", "random"],
        "group_by": [config.BY_FOLDER, "exif:", config.BY_NOTHING],
        "image_size": ["fit", "fit:"],
    }.get(name, [])


def schema_text() -> str:
    """The JSON schema as a file has it."""
    return json.dumps(parameter_schema(), indent=2, ensure_ascii=False) + "\n"


def parameter_schema() -> dict[str, Any]:
    """The JSON schema (draft 7) of a parameter file.

    It refuses what the reader of the file refuses; and a value of another type that is written as a text, such as
    ``"0.05"``, which the reader takes because a command line has nothing else.
    """
    found = settings()
    models = {model: model.model_json_schema()["properties"] for model, _ in found.values()}
    properties = {name: _described(models[model][field]) | _narrower(name) for name, (model, field) in found.items()}
    properties["image_size"]["anyOf"][0]["pattern"] = f"^(fit|(fit:)?{_SIDE}|{_SIDE}x{_SIDE})$"
    return {
        "$schema": DIALECT,
        "title": "Parameters of vqi",
        "description": _SAID,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "allOf": list(_by_method()),
        "definitions": {method: _finetune(model) for method, model in config.FINETUNE.items()},
    }


def _described(field: dict[str, Any]) -> dict[str, Any]:
    """A field's schema without the title that pydantic makes of its name, in draft 7, its range that of whole numbers
    in kfp's format."""
    from vqi_pipelines.ir.values import MOST_WHOLE  # here, because a shell waits for `words`

    made = {key: value for key, value in field.items() if key != "title"}
    if "prefixItems" in made:
        made["items"] = made.pop("prefixItems")
    if made.get("type") == "integer" and not {"maximum", "exclusiveMaximum"} & made.keys():
        made["maximum"] = MOST_WHOLE
    return made


def _narrower(name: str) -> dict[str, Any]:
    """What is known of a parameter beyond the type of its field."""
    known = words(name)
    if name == "source":
        names = [one.rstrip(":") for one in known]
        return {"anyOf": [{"enum": names}, {"pattern": f"^({'|'.join(names)}):"}]}
    if name in ("method", "detector"):
        return {"enum": known}
    if name == "group_by":
        return {"format": "regex", "not": {"pattern": "^exif($|:(?![0-9]{1,6}$))"}, "examples": ["folder", "exif:10"]}
    if name == "layer":
        one = {"type": "string", "minLength": 1}
        several = {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}
        return {"anyOf": [one | {"pattern": r"^[^\[]"}, several], "default": list(config.layer_names(config.LAYERS))}
    return {}


def _by_method() -> Any:
    """What the parameter ``method`` says of ``epochs`` and ``finetune``, if the file has it."""
    trains_not = {"epochs": {"const": 0}, "finetune": {"maxProperties": 0}}
    yield _where({"method": {"const": "pretrained"}}, {"properties": trains_not})
    for method, model in config.FINETUNE.items():
        fewest = model.model_fields["freeze_epochs"].default + 1
        keys = {"epochs": {"minimum": 1}, "finetune": {"$ref": f"#/definitions/{method}"}}
        frozen = _where({"finetune": {"required": ["freeze_epochs"]}}, {}) | {
            "else": {"properties": {"epochs": {"minimum": fewest}}}
        }
        yield _where({"method": {"const": method}}, {"properties": keys, "allOf": [frozen]})
    any_of_them = {"anyOf": [{"$ref": f"#/definitions/{method}"} for method in config.FINETUNE]}
    yield {"if": {"required": ["method"]}, "else": {"properties": {"finetune": any_of_them}}}


def _where(given: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"properties": given, "required": list(given)}, "then": then}


def _finetune(model: type[config.Finetune]) -> dict[str, Any]:
    """The schema of a method's keys."""
    made = model.model_json_schema()
    keys = {name: _described(field) for name, field in made["properties"].items()}
    return {"type": "object", "description": made["description"], "additionalProperties": False, "properties": keys}
