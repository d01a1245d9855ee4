"""vqi_pipelines.layers: a backbone that the table does not list is built by a process of its own."""

from __future__ import annotations

from subprocess import CompletedProcess
from typing import Any

import pytest

from vqi.errors import VqiError
from vqi_pipelines import layers as module
from vqi_pipelines.commands.submit import given_parameters
from vqi_pipelines.layers import check_built_layers, listed_layer_problem


def refused(*words: object, **options: object) -> Any:
    raise AssertionError("a process was started")


@pytest.mark.parametrize("given", [{}, {"backbone": "resnet18", "layer": "layer5"}, {"layer": "blocks.40"}])
def test_no_process_where_the_table_tells(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    monkeypatch.setattr(module.subprocess, "run", refused)  # type: ignore[attr-defined]
    check_built_layers(given)
    assert bool(listed_layer_problem(given)) is bool(given)


@pytest.mark.parametrize("layer", ['["blocks.3"', "[1]"])
def test_what_is_no_list_is_refused_by_the_parameters_model(layer: str) -> None:
    assert listed_layer_problem({"layer": layer}) is None
    with pytest.raises(VqiError, match=r"^layer: expected a JSON list of layers"):
        given_parameters([], [f"layer={layer}"])


def test_no_process_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.subprocess, "run", refused)  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "listed_layers", lambda backbone: None)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)  # type: ignore[attr-defined]
    check_built_layers({"layer": "layer5"})


@pytest.mark.slow
def test_a_backbone_that_is_not_listed_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "listed_layers", lambda backbone: None)
    assert listed_layer_problem({"backbone": "resnet18", "layer": "layer5"}) is None
    with pytest.raises(VqiError, match="unknown layer 'layer5': did you mean 'layer"):
        check_built_layers({"backbone": "resnet18", "layer": "layer5"})


@pytest.mark.parametrize(
    ("code", "said", "error"),
    [(0, '[["layer3"], ""]', ""), (1, "unknown backbone 'a'\n", "unknown backbone 'a'"), (1, "", "")],
)
def test_what_the_process_says(monkeypatch: pytest.MonkeyPatch, code: int, said: str, error: str) -> None:
    monkeypatch.setattr(module, "listed_layers", lambda backbone: None)
    monkeypatch.setattr(module.subprocess, "run", lambda *words, **more: CompletedProcess(words, code, said, ""))  # type: ignore[attr-defined]
    if not error:
        check_built_layers({"layer": "layer3"})
        return
    with pytest.raises(VqiError, match=error):
        check_built_layers({"layer": "layer3"})
