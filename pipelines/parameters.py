"""Parameter files, and the training pipeline's parameters checked against ``vqi.config`` before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BeforeValidator, ValidationError

from vqi import config
from vqi.errors import VqiError, unknown
from vqi.records import cut
from vqi.records import problems as describe_each
from vqi.system.paths import local_path
from vqi_pipelines.ir.graph import Pipeline
from vqi_pipelines.ir.values import as_given, to_text
from vqi_pipelines.layers import listed_layer_problem
from vqi_pipelines.parameter_files import read_parameter_file
from vqi_pipelines.parameter_schema import PIPELINE_NAMES, settings

_DETECTOR, _BACKBONE = config.defaults(config.PcaFit).kind, config.defaults(config.SslFinetune).backbone_name


def read_parameters(files: Sequence[Path], assignments: Sequence[str]) -> dict[str, Any]:
    """Parameters from YAML files and ``key=value`` texts; later ones override earlier ones.

    Raises:
        VqiError: A file is missing or is not a mapping, or an assignment has no ``=``.
    """
    given: dict[str, Any] = {}
    for file in files:
        given.update(read_parameter_file(file))
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator or not name:
            raise VqiError(f"-p '{cut(assignment)}': expected name=value")
        given[name] = value
    return given


def check_parameters(pipeline: Pipeline, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a pipeline: those given, in their types, and the defaults of the others.

    Raises:
        VqiError: An unknown name, a value of another type, or a missing one that has no default.
    """
    for name in given:
        if name not in pipeline.inputs:
            raise unknown("parameter", name, pipeline.inputs)
    values, others = {}, _texts_that_may_be_others(pipeline)
    for name, parameter in pipeline.inputs.items():
        if name in given:
            value = to_text(given[name]) if type(given[name]) is others.get(name) else given[name]
            values[name] = as_given(value, parameter.type, f"parameter '{name}'")
        elif parameter.default is None and not parameter.optional:
            raise VqiError(f"parameter '{name}' has no default: set it with -p {name}=...")
        else:
            values[name] = parameter.default
    return values


def _texts_that_may_be_others(pipeline: Pipeline) -> dict[str, type]:
    """The parameters that are a name or a list of names, or words or a number: a step receives either as text."""
    types = {config.one_or_several: list, config.number_or_words: int}
    found = {}
    for name, (model, field) in pipeline_fields(pipeline).items():
        for part in model.model_fields[field].metadata:
            if isinstance(part, BeforeValidator) and part.func in types:
                found[name] = types[part.func]
    return found


def absolute_paths(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The training pipeline's parameters with local paths made absolute: steps start in folders of their own.

    They were checked before: an error names a source as it was given.
    """
    values = dict(parameters)
    kind, separator, place = str(values["source"]).partition(":")
    if separator and "://" not in place:
        values["source"] = f"{kind}:{_absolute(place)}"
    if values["url"] and "://" not in values["url"]:
        values["url"] = _absolute(values["url"])
    values["weights"] = _absolute_file(values["weights"])
    checkpoint = values["finetune"].get("initial_checkpoint")
    if isinstance(checkpoint, str):
        values["finetune"] = {**values["finetune"], "initial_checkpoint": _absolute_file(checkpoint)}
    return values


def _absolute_file(weights: str) -> str:
    """A local ``<path>#sha256=<hex>`` with an absolute path; anything else as it is."""
    local = "#sha256=" in weights and "://" not in weights
    return _absolute(weights) if local else weights


def _absolute(path: str) -> str:
    return str(local_path(path).absolute())


def check_ranges(parameters: Mapping[str, Any]) -> None:
    """Check the training pipeline's parameters against the steps' models, so that a bad value fails immediately.

    Raises:
        VqiError: A value is out of its range; all such values are named.
    """
    problems: list[str] = []
    for model in config.STEPS:
        names = {field: PIPELINE_NAMES.get(field, field) for field in model.model_fields}
        values = {field: parameters[name] for field, name in names.items() if name in parameters}
        if not values:
            continue
        required = {field for field, info in model.model_fields.items() if info.is_required()}
        others = dict.fromkeys(required - set(values), "given by the step before")
        try:
            model(**values, **others)
        except ValidationError as error:
            problems += [one for one in describe_each(error, names) if one not in problems]
    problems += [str(one) for one in _unknown_names(parameters)]
    if problems:
        raise VqiError("; ".join(problems))


def _unknown_names(parameters: Mapping[str, Any]) -> Iterator[VqiError]:
    """What is wrong with names that the models leave to registries; what is no text is the models' matter."""
    known = ("detector", "backbone", "layer", "source")
    names = {name: value for name in known if isinstance(value := parameters.get(name), str)}
    kind = names.get("detector", _DETECTOR)
    if kind != _DETECTOR:
        from vqi.detectors.registry import DETECTORS  # imports numpy, which nothing else here needs

        if kind not in DETECTORS:
            yield unknown("detector", kind, DETECTORS)
    backbone, problem = names.get("backbone", _BACKBONE), None
    if backbone != _BACKBONE:
        from vqi_pipelines.backbone_names import backbone_problem  # reads many files

        problem = backbone_problem(backbone)
    if problem or (problem := listed_layer_problem(names)):
        yield problem
    if "source" in names:
        from vqi.datasets.sources import split_source

        try:
            split_source(names["source"])
        except VqiError as error:
            yield error


def settings_of(given: Mapping[str, Any]) -> config.DatasetDownload:
    """The training pipeline's parameters, where no pipeline is at hand; the defaults of those that are not given.

    Raises:
        VqiError: An unknown name, or a value that does not fit.
    """
    fields = {PIPELINE_NAMES.get(field, field): field for field in config.DatasetDownload.model_fields}
    del fields["run"]  # the backend says which it is
    values = dict(given)
    for name, value in given.items():
        if name not in fields:
            raise unknown("parameter", name, fields)
        if isinstance(value, str) and config.DatasetDownload.model_fields[fields[name]].annotation == list[str]:
            values[name] = as_given(value, "LIST", f"parameter '{name}'")
    check_ranges(values)
    return config.DatasetDownload.model_validate({fields[name]: value for name, value in values.items()})


def describe_detectors() -> list[tuple[str, str]]:
    """The detectors: name and meaning."""
    from vqi.detectors.registry import DETECTORS

    return [(name, (detector.__doc__ or "").partition("\n")[0]) for name, detector in DETECTORS.items()]


def describe_finetune() -> list[tuple[str, list[tuple[str, Any, str]]]]:
    """The keys of the parameter ``finetune`` by method: name, default, meaning."""
    return [
        (method, [(name, field.default, field.description or "") for name, field in model.model_fields.items()])
        for method, model in config.FINETUNE.items()
    ]


def pipeline_fields(pipeline: Pipeline) -> dict[str, tuple[type[config.StepConfig], str]]:
    """The training pipeline's parameters in the order of the data path, each once: its model, its name there."""
    return {name: found for name, found in settings().items() if name in pipeline.inputs}


def describe_parameters(pipeline: Pipeline) -> list[tuple[str, Any, str]]:
    """The training pipeline's parameters: name, default, meaning; in the order of the data path, each once."""
    fields = {name: model.model_fields[field] for name, (model, field) in pipeline_fields(pipeline).items()}
    return [(name, field.default, field.description or "") for name, field in fields.items()]
