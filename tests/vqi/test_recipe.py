"""vqi.recipe: what makes another model changes the recipe, and nothing else does."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from vqi.config import STEPS, DatasetDownload, Division, SourceRequest
from vqi.recipe import differences, recipe_of

# Parameters of which the photographs tell what they made, and those that are of one run only.
NO_PART = {"source", *SourceRequest.model_fields, *Division.model_fields, "retrain_if", "run", "with_verdicts"}
OTHER: dict[str, Any] = {
    "source": "folder:x", "only_categories": ["a"], "url": "x", "sha256": "0" * 64, "accept_license": True,
    "limit_per_class": 3, "train_fraction": 0.5, "hold_out_near_duplicates": False, "split_seed": 1,
    "retrain_if": "always", "run": "run-1", "with_verdicts": True,
    "image_size": 64, "max_bad_fraction": 0.5, "max_pixels": 2048, "target_fpr": 0.1, "group_by": "none",
    "method": "simsiam", "backbone_name": "resnet18", "weights": "random", "epochs": 3, "layer": "a",
    "finetune": {"patience": 3}, "seed": 1, "pool": 2, "batch_size": 3, "engine": "eager", "precision": "fp32",
    "kind": "pca", "variance": 0.5, "scaling": "raw", "channels": 3, "coordinates": 3, "shrinkage": 0.5, "bank": 7,
    "normalise": "whitened", "aggregate": 0.5, "folds": 3, "bootstrap": 200, "examples": 1, "gate": "off",
    "max_regression": 0.5, "min_auroc": 0.5, "max_megabytes": 0.5, "max_milliseconds": 0.5,
}  # fmt: skip


def recipe(**given: Any) -> str:
    return recipe_of(DatasetDownload(**given), ["vqi"])


@pytest.mark.parametrize("name", DatasetDownload.model_fields)
def test_each_parameter_of_a_model_changes_it(name: str) -> None:
    tuned = {"method": "cutpaste", "epochs": 5} if name in ("method", "epochs", "finetune") else {}
    assert (recipe(**tuned) == recipe(**tuned | {name: OTHER[name]})) == (name in NO_PART)


def test_it_has_the_parameters_of_all_steps() -> None:
    """A new parameter of a step is one of its recipe; what a step is given by the others is none."""
    given = {"dataset", "category", "recipe", "summary"}
    assert {name for model in STEPS for name in model.model_fields} - given == {*DatasetDownload.model_fields}


def test_a_default_that_is_written_out_changes_nothing() -> None:
    tuned = {"method": "simsiam", "epochs": 3}
    assert recipe(**tuned, finetune={"lr": 0.25}) == recipe(**tuned)
    assert recipe(layer=["a"]) == recipe(layer="a")
    assert recipe() == recipe_of(DatasetDownload(), ("vqi",))


def test_code_and_files_beside_it_change_it_and_compiled_code_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "made_up"
    (package / "inside" / "__pycache__").mkdir(parents=True)
    for name in ("__init__.py", "inside/page.html.j2"):
        (package / name).write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "made_up", raising=False)

    def made() -> str:
        return recipe_of(DatasetDownload(), ["made_up"])

    seen = [made()]
    (package / "inside" / "__pycache__" / "x.cpython-311.pyc").write_text("x")
    assert made() == seen[0]
    for name in ("__init__.py", "inside/page.html.j2", "inside/new.py"):
        (package / name).write_text("# another")
        seen.append(made())
    assert len(set(seen)) == 4
    assert {one.partition(".")[0] for one in seen} == {seen[0].partition(".")[0]}, "the parameters are the same"


def test_run_from_its_sources_it_has_no_requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    with monkeypatch.context() as patched:
        patched.setattr("vqi.recipe.requires", lambda name: [])
        without = recipe()
    monkeypatch.setattr("vqi.recipe.requires", absent)
    assert recipe() == without


def test_what_two_differ_in() -> None:
    assert differences("a.b", "a.b") == ""
    assert differences("a.b", "c.b") == "the parameters"
    assert differences("a.b", "a.c") == "the code of vqi"
    assert differences("a.b", "c.d") == "the parameters and the code of vqi"
