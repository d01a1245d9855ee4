"""Which modules of the project each step's cached result depends on: a step runs again when one of them changes.

A module that a step does not use does not belong in its key: if a new dependency is intended, add it here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vqi_pipelines import sources
from vqi_pipelines.local.cache import code_digest, entries_of
from vqi_pipelines.sources import Source, modules_of

# By step, by room (``ground``: next to the rooms); ``__init__`` files and the step's own folder are left out.
KEYS = {
    "dataset_download": {
        "components": "environment flags outputs step",
        "ground": "conclusion config digests errors evaluation formatting intervals metrics outcomes progress recipe "
        "records redaction sizes strict_json",
        "artifacts": "backbone catalog changes data_report decision detector drift features files grouped "
        "images left_out metrics scores tables tensors threshold",
        "datasets": "advice answered archive arrangements bucket catalogs choice download elpv flat folder in_use layout "
        "left_out local objects photographs placing plan public shards sources splits table table_rows "
        "table_text tree words",
        "detectors": "aggregate calibration comparison coordinates differences ensemble farthest grid "
        "interface mahalanobis map_limit neighbours patch_pca pca registry scaling subspace",
        "models": "assessment backbones category champion drift drifting figures gate manifest model package "
        "paired reading registry rescoring result retraining scorer trained",
        "photographs": "capture cost decoding depth jpeg2000 opening pnm similarity tiff unreadable webp",
        "store": "folder interface kept names opening s3 s3_clients s3_connections s3_credentials s3_errors "
        "s3_listing s3_profiles s3_reading s3_settings s3_unfinished",
        "system": "atomic cache concurrency files locks memory openvino os_errors paths processor scratch",
        "verdicts": "book records standing",
        "transfer": "fetching pace parts timely unpacking.names unpacking.spool unpacking.tars "
        "unpacking.unpack unpacking.zips web",
        "network": "backbones engines extraction runtime truncation turns",
        "preparation": "appearance data_report groups images masks reading value_range",
    },
    "preprocess": {
        "components": "environment executor_output flags outputs step",
        "ground": "config digests errors formatting intervals metrics progress records redaction sizes strict_json",
        "artifacts": "catalog data_report files images left_out metrics tables tensors threshold",
        "datasets": "catalogs layout shards words",
        "pages": "charts data_chart data_page folder maps of_run rendering templates",
        "photographs": "capture cost decoding depth jpeg2000 opening pnm similarity tiff unreadable webp",
        "preparation": "appearance data_report groups images masks reading value_range",
        "store": "folder interface names opening s3 s3_clients s3_connections s3_credentials s3_errors "
        "s3_listing s3_profiles s3_reading s3_settings s3_unfinished",
        "system": "atomic concurrency files locks memory os_errors paths processor scratch",
        "transfer": "timely",
    },
    "ssl_finetune": {
        "components": "environment flags outputs step",
        "ground": "config digests errors progress records redaction sizes strict_json",
        "artifacts": "backbone features files grouped images tables tensors training_log",
        "network": "backbones building embedded engines extraction runtime torch_files truncation turns weights",
        "self_supervised": "augment checkpoint cutpaste encoder method methods simsiam training",
        "store": "folder interface opening s3 s3_clients s3_connections s3_credentials s3_errors s3_listing "
        "s3_profiles s3_reading s3_settings s3_unfinished",
        "system": "atomic files locks openvino os_errors paths processor scratch",
        "transfer": "timely",
    },
    "feature_extract": {
        "components": "environment flags outputs step",
        "ground": "config digests errors progress records redaction sizes strict_json",
        "artifacts": "backbone features files grouped images tables tensors",
        "network": "backbones engines extraction features runtime truncation turns",
        "system": "atomic files openvino os_errors paths processor",
    },
    "pca_fit": {
        "components": "environment flags outputs step",
        "ground": "config digests errors progress records redaction sizes strict_json",
        "artifacts": "backbone detector features files grouped images tables tensors threshold",
        "detectors": "aggregate calibration coordinates differences ensemble farthest grid interface "
        "mahalanobis map_limit neighbours patch_pca pca registry scaling subspace",
        "system": "atomic files os_errors paths processor",
    },
    "evaluate": {
        "components": "environment executor_output flags kubeflow_figures outputs step",
        "ground": "conclusion config digests errors evaluation formatting intervals metrics progress records redaction "
        "sizes strict_json",
        "artifacts": "backbone catalog data_report detector features files grouped images left_out metrics "
        "scores tables tensors threshold training_log",
        "detectors": "aggregate calibration comparison coordinates differences ensemble farthest grid "
        "interface mahalanobis map_limit neighbours patch_pca pca registry scaling subspace",
        "pages": "charts contents findings maps rendering report templates training_chart",
        "system": "atomic files os_errors paths processor",
    },
    "publish": {
        "components": "environment executor_output flags outputs step",
        "ground": "conclusion config digests errors evaluation formatting intervals metrics outcomes progress records "
        "redaction sizes strict_json",
        "artifacts": "backbone catalog changes data_report decision detector drift features files grouped "
        "images left_out metrics scores tables tensors threshold",
        "datasets": "catalogs choice in_use layout local photographs placing shards splits words",
        "detectors": "aggregate calibration comparison coordinates differences ensemble farthest grid "
        "interface mahalanobis map_limit neighbours patch_pca pca registry scaling subspace",
        "models": "answers assessment backbones budgets category champion deciding drift earlier field figures "
        "gate good_alone manifest model overview package paired reading registry rescoring result scorer "
        "trained",
        "network": "backbones engines extraction runtime truncation turns",
        "pages": "charts decision_card drift_chart field folder of_run rendering templates",
        "photographs": "capture cost decoding depth jpeg2000 opening pnm similarity tiff unreadable webp",
        "preparation": "appearance data_report groups images masks reading value_range",
        "store": "folder interface kept names opening s3 s3_clients s3_connections s3_credentials s3_errors "
        "s3_listing s3_profiles s3_reading s3_settings s3_unfinished",
        "system": "atomic concurrency files locks memory openvino os_errors paths processor scratch",
        "transfer": "timely unpacking.names",
        "verdicts": "book field records standing",
        "mirrors": "feeding registry",
    },
    "summarize": {
        "components": "environment executor_output flags outputs step",
        "ground": "config digests errors formatting intervals outcomes progress records redaction sizes strict_json",
        "artifacts": "backbone catalog decision detector drift features files grouped images left_out metrics "
        "tables tensors threshold",
        "datasets": "catalogs in_use",
        "detectors": "aggregate calibration coordinates differences ensemble farthest grid interface "
        "mahalanobis map_limit neighbours patch_pca pca registry scaling subspace",
        "models": "answers backbones category champion field figures manifest models_page overview package registry",
        "pages": "charts field history_chart models_page rendering table templates",
        "photographs": "jpeg2000 opening pnm tiff unreadable webp",
        "store": "folder interface kept names opening s3 s3_clients s3_connections s3_credentials s3_errors "
        "s3_listing s3_profiles s3_reading s3_settings s3_unfinished",
        "system": "atomic concurrency files locks memory os_errors paths processor scratch",
        "transfer": "timely",
        "verdicts": "book field records standing",
    },
}
TORCH_ROOMS = {"network", "self_supervised"}


def key_of(step: str) -> dict[str, Source]:
    return modules_of(entries_of(("python", "-m", f"vqi_components.{step}")))


def expected(step: str) -> set[str]:
    names = {"vqi", "vqi_components", f"vqi_components.{step}", f"vqi_components.{step}.__main__"}
    for room, modules in KEYS[step].items():
        prefix = {"components": "vqi_components", "ground": "vqi"}.get(room, f"vqi.{room}")
        for module in modules.split():
            parts = [*prefix.split("."), *module.split(".")]
            names |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
    return names


def way_to(module: str, found: dict[str, Source]) -> str:
    """The chain of imports from the step to a module."""
    way = [module]
    while importer := found[way[-1]].importer:
        way.append(importer)
    return " <- ".join(way)


@pytest.mark.parametrize("step", KEYS)
def test_modules_in_the_key(step: str) -> None:
    found = key_of(step)
    unneeded = [way_to(module, found) for module in sorted(found.keys() - expected(step))]
    assert not unneeded, "new in the key of the step, with the imports that lead to it:\n" + "\n".join(unneeded)
    assert not expected(step) - found.keys(), "no longer in the key: remove it from KEYS"


def test_rooms_in_the_keys() -> None:
    rooms = {step: {name.split(".")[1] for name in key_of(step) if name.startswith("vqi.")} for step in KEYS}
    assert {step for step in KEYS if rooms[step] & TORCH_ROOMS} == {
        "dataset_download",
        "ssl_finetune",
        "feature_extract",
        "publish",
    }
    assert {step for step in KEYS if "pages" in rooms[step]} == {"preprocess", "evaluate", "publish", "summarize"}
    assert {step for step in KEYS if "models" in rooms[step]} == {"dataset_download", "publish", "summarize"}
    assert not [step for step in KEYS for name in key_of(step) if name.startswith("vqi_pipelines")]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package ``made_up`` that counts as the project's own."""
    folder = tmp_path / "made_up"
    (folder / "methods" / "deep").mkdir(parents=True)
    for name in ("__init__", "methods/__init__", "methods/one", "methods/two", "methods/deep/__init__", "other"):
        (folder / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sources, "OWN_PACKAGES", ("made_up",))
    sources._source_of.cache_clear()  # each test has its own folder of that name
    yield folder
    sources._source_of.cache_clear()


METHODS = {f"made_up.methods{name}" for name in ("", ".one", ".two", ".deep")}


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("import made_up.other", {"made_up.other"}),
        ("def f():\n    from made_up.methods import one, a_name", {"made_up.methods", "made_up.methods.one"}),
        ("import importlib\nm = importlib.import_module(f'made_up.methods.{name}')", METHODS),
        ("from importlib import import_module\nm = import_module(f'made_up.methods.{name}')", METHODS),
        ("from importlib import import_module\nm = import_module('made_up.methods.two')", METHODS - {
            "made_up.methods.one", "made_up.methods.deep"}),
        ("from importlib import import_module\nm = import_module(f'{package}.{name}')", set()),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import made_up.other", set()),
        ("import typing\nif not typing.TYPE_CHECKING:\n    import made_up.other", {"made_up.other"}),
    ],
)  # fmt: skip
def test_what_a_module_comes_to_import(package: Path, text: str, modules: set[str]) -> None:
    (package / "start.py").write_text(text)
    found = modules_of(["made_up.start"])
    assert set(found) == {"made_up", "made_up.start", *modules}
    assert all(found[name].importer for name in modules)


def test_files_beside_a_package_count(package: Path) -> None:
    template = package / "page.html.j2"
    template.write_text("a")
    before = sources.digest_of(modules_of(["made_up"]))
    template.write_text("b")
    assert sources.digest_of(modules_of(["made_up"])) != before


def test_what_is_no_module_has_no_code() -> None:
    fit = code_digest(("python", "-m", "vqi_components.pca_fit"))
    assert fit != code_digest(("python", "-m", "vqi_components.evaluate"))
    assert code_digest(("sh", "-c", "x")) == code_digest(("true",))
