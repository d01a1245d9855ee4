"""vqi.outcomes: each category leaves what became of it in the store, and the table is made of what is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vqi import outcomes
from vqi.artifacts.catalog import Catalog, CategoryEntry
from vqi.artifacts.metrics import Summary
from vqi.errors import VqiError
from vqi.outcomes import NOT_FINISHED, Outcomes, conclude, forget_old, outcome_kept, read_outcomes
from vqi.store.folder import FolderStore
from vqi.store.interface import Store
from vqi.store.opening import open_store

RUN = "wf/1"  # as a key: wf%2F1


def summary(category: str) -> str:
    figures = dict.fromkeys(name for name, field in Summary.model_fields.items() if field.is_required())
    return json.dumps(figures | {"category": category, "test_images": 3, "threshold": 1.5, "target_fpr": 0.05})


def dataset_of(store: Store, *categories: str) -> str:
    """The uri of a dataset of which only the catalog is there."""
    entry = CategoryEntry(bytes=1, sha256="0" * 64, files={}, image_sizes={})
    catalog = Catalog(
        name="parts", source="folder:/x", digest="0" * 64, licence=None, categories=dict.fromkeys(categories, entry)
    )
    store.put_bytes("datasets/parts@1/catalog.json", catalog.model_dump_json().encode())
    return store.uri_of("datasets/parts@1")


def leave(store: Store, dataset: str, category: str, *, run: str = RUN, failure: str = "") -> None:
    with outcome_kept(store, run, dataset, summary(category)):
        if failure:
            raise VqiError(failure)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def test_what_is_there_and_what_is_not(store: Store) -> None:
    dataset = dataset_of(store, "a", "b/../c", "ü%", "gone")
    leave(store, dataset, "ü%")
    leave(store, dataset, "b/../c")
    with pytest.raises(VqiError, match="no room"):
        leave(store, dataset, "a", failure="no room at https://me:secret@host/x")
    leave(store, dataset, "of another run", run="wf/2")
    found = read_outcomes(store, RUN, dataset)
    assert [row.category for row in found.rows] == ["b/../c", "ü%"]
    assert found.failed == {"a": "no room at https://***@host/x", "gone": NOT_FINISHED}
    assert read_outcomes(store, RUN, "") == found, "the outcomes name the dataset"
    keys = {entry.key for entry in store.list("runs/wf%2F1/")}
    assert keys == {f"runs/wf%2F1/summaries/{name}.json" for name in ("a", "b%2F..%2Fc", "ü%25")}


def test_the_last_attempt_counts(store: Store) -> None:
    dataset = dataset_of(store, "a")
    with pytest.raises(VqiError, match="gone"):
        leave(store, dataset, "a", failure="gone")
    assert read_outcomes(store, RUN, dataset).failed == {"a": "gone"}
    leave(store, dataset, "a")
    assert read_outcomes(store, RUN, dataset).failed == {}


def test_a_damaged_one_costs_its_own_row(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = dataset_of(store, "a", "b")
    leave(store, dataset, "a")
    store.put_bytes("runs/wf%2F1/summaries/b.json", b'{"category": "b"}')
    found = read_outcomes(store, RUN, dataset)
    assert ([row.category for row in found.rows], found.failed) == (["a"], {"b": NOT_FINISHED})
    assert "summaries/b.json: dataset: Field required; run the pipeline again" in capsys.readouterr().err


@pytest.mark.slow
def test_two_thousand_categories(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"category {number:04d}" for number in range(2000)]
    dataset = dataset_of(store, *names)
    for name in names[:-20]:
        leave(store, dataset, name)
    found = read_outcomes(store, RUN, dataset)
    assert [row.category for row in found.rows] == names[:-20]
    assert [*found.failed] == names[-20:]
    conclude(found, partial=True)
    said = capsys.readouterr().err.splitlines()[-1]
    assert "20 of 2,000 categories failed: category 1980 (did not finish" in said
    assert said.endswith(" and 10 more")
    with pytest.raises(VqiError, match=r"20 of 2,000 categories failed: .*'argo retry'"):
        conclude(found, partial=False)


def test_nothing_is_left_by_hand_and_nothing_is_known_of_another_run(store: Store) -> None:
    dataset = dataset_of(store, "a")
    leave(store, dataset, "a", run="")
    assert list(store.list("runs/")) == []
    with pytest.raises(VqiError, match="no category of the run came to its end"):
        read_outcomes(store, RUN, "")
    found = read_outcomes(store, RUN, dataset)
    with pytest.raises(VqiError, match=r"^1 of 1 category failed: a \(did not finish"):
        conclude(found, partial=True)
    with pytest.raises(VqiError, match="which was not filled in: update Kubeflow"):
        leave(store, dataset, "a", run="{{$.pipeline_job_uuid}}")
    with pytest.raises(VqiError, match=r"no complete dataset at .*/datasets/none"):
        read_outcomes(store, RUN, store.uri_of("datasets/none"))


def test_only_the_latest_runs_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "KEPT", 2)
    dataset = dataset_of(store, "a", "b")
    for run in ("wf/1", "going on", "wf/2", "wf/1", "wf/3"):  # wf/1 was tried again
        for category in ("a", "b"):
            leave(store, dataset, category, run=run)
        if run != "going on":
            forget_old(store, run)
    there = {entry.key.split("/")[1] for entry in store.list("runs/")}
    assert there == {"ended.json", "going on", "wf%2F1", "wf%2F3"}


def test_a_store_that_removes_nothing_costs_no_table(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: FolderStore, key: str) -> None:
        raise VqiError("you may not remove it")

    monkeypatch.setattr(outcomes, "KEPT", 1)
    monkeypatch.setattr(FolderStore, "delete", refuse)
    leave(store, dataset_of(store, "a"), "a", run="one")
    forget_old(store, "one")
    forget_old(store, "two")
    assert "note: what older runs left is not removed: you may not remove it" in capsys.readouterr().err
    store.put_bytes("runs/ended.json", b"[")
    forget_old(store, "three")
    assert "runs/ended.json: Invalid JSON" in capsys.readouterr().err


def test_what_the_gate_said_is_told(store: Store) -> None:
    dataset = dataset_of(store, "a", "b")
    with outcome_kept(store, RUN, dataset, summary("a")) as told:
        told.decision = "v2 was rejected"
    with outcome_kept(store, "", dataset, summary("b")) as told:
        told.decision = "by hand, without a run"
    leave(store, dataset, "b")
    assert read_outcomes(store, RUN, dataset).decisions == {"a": "v2 was rejected"}


def test_on_one_line() -> None:
    decisions = {"a": "v3 was rejected, v2 is used: worse\nby more", "b": "x" * 300}
    line = Outcomes([], {"lost": "why"}, {"c": "why", "d": "why"}, decisions, {}).line
    assert (
        line
        == f"lost: failed; a: v3 was rejected, v2 is used: worse by more; b: {'x' * 200}...; unchanged: 2 categories"
    )
    many = Outcomes([], {str(number): "" for number in range(12)}, {}, {}, {}).line
    assert many.endswith("9: failed; and 2 more")
    assert Outcomes([], {}, {}, {}, {}).line == "no categories"
