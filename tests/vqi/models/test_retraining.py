"""Which categories are trained: those whose model would be another one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.vqi.made import metrics
from tests.vqi.models.packages import package
from vqi.artifacts.catalog import Catalog, CategoryEntry
from vqi.artifacts.changes import CategoryChange, PhotographChanges
from vqi.artifacts.metrics import HeldOut, Scored, write_metrics
from vqi.config import Publish, RetrainIf
from vqi.datasets.photographs import keep_photographs
from vqi.errors import UnavailableError
from vqi.models import drifting
from vqi.models.category import Category
from vqi.models.champion import CHAMPION
from vqi.models.deciding import publish_and_decide
from vqi.models.manifest import BACKBONE, MANIFEST, METRICS
from vqi.models.promotion import promote
from vqi.models.rescoring import GoodNow
from vqi.models.retraining import changes_of, leave_unchanged
from vqi.models.trained import TRAINED, trained_of
from vqi.outcomes import read_outcomes
from vqi.store.interface import Store

RECIPE = "parameters.code"
DATA = "0" * 64  # the shard of made-up packages
BEFORE, NOW = "parts@000000000000", "parts@111111111111"
SAME = "was made of the same photographs, with the same parameters and code"


def run(store: Store, folder: Path, number: int, bad: float = 0.9, recipe: str = RECIPE, **settings: Any) -> None:
    """Publish model ``number`` of ``DATA``, which gives bad test images scores around ``bad`` and good ones 0.5."""
    files = package(folder, number)
    scores = [*(0.4 + k / 250 for k in range(50)), *(bad + k / 250 for k in range(50))]
    kept = Scored(images="a" * 64, labels="0" * 50 + "1" * 50, scores=tuple(scores))
    write_metrics(files["metrics"], metrics(category="mono", scored=kept, threshold=0.7, image_auroc=bad))
    dataset = store.uri_of(f"datasets/{BEFORE}")
    publish_and_decide(
        store, **files, settings=Publish(recipe=recipe, dataset=f"{dataset}#left-out=0123456789ab", **settings)
    )


def change(store: Store, data: str = DATA, recipe: str = RECIPE, retrain_if: RetrainIf = "changed") -> CategoryChange:
    entry = CategoryEntry(bytes=1, sha256=data, files={}, image_sizes={})
    catalog = Catalog(name="parts", source="folder:/x", digest="0" * 64, licence=None, categories={"mono": entry})
    store.put_bytes(f"datasets/{NOW}/catalog.json", catalog.model_dump_json().encode())
    (found,) = changes_of(store, store.uri_of(f"datasets/{NOW}"), catalog, recipe, retrain_if).categories
    return found


def test_the_first_time_and_the_second(store: Store, category: Category, tmp_path: Path) -> None:
    first = change(store)
    assert (first.trained, first.why, first.version, first.row) == (True, "there is no model of it yet", None, None)
    run(store, tmp_path, 1)
    made = trained_of(category, 1)
    assert made is not None
    assert (made.data, made.recipe, made.dataset, made.used) == (DATA, RECIPE, BEFORE, 1)
    second = change(store)
    assert (second.trained, second.why, second.version) == (False, f"v1 {SAME}", 1)
    assert second.model == category.uri_of(1)
    assert second.row is not None
    assert second.row.image_auroc == 0.9


def test_what_changed(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(store, tmp_path, 1)
    found = change(store, data="1" * 64)
    assert (found.trained, found.photographs) == (True, None), "the datasets do not say what they have"
    assert found.why == "since v1, which is used, its photographs changed"
    keep_photographs(store, f"datasets/{BEFORE}", {"mono": {"train/good/a": "1", "test/dent/b": "2"}})
    keep_photographs(store, f"datasets/{NOW}", {"mono": {"train/good/a": "3", "train/good/c": "4"}})
    found = change(store, data="1" * 64, recipe="others.code")
    assert found.photographs == {
        "test/dent": PhotographChanges(new=0, removed=1, changed=0),
        "train/good": PhotographChanges(new=1, removed=0, changed=1),
    }
    assert found.why == (
        "since v1, which is used, its photographs and the parameters changed (test/dent: 1 removed; train/good: 1 new, "
        "1 changed)"
    )
    assert capsys.readouterr().err.endswith(f"to train: mono: {found.why}\n")
    assert change(store, recipe="parameters.other").why == "since v1, which is used, the code of vqi changed"
    always = change(store, retrain_if="always")
    assert (always.trained, always.why, always.row) == (True, "each run trains it, as was asked", None)


def test_what_the_gate_refused_is_not_made_again(store: Store, tmp_path: Path) -> None:
    """Until another one is used: then it may be better than that."""
    run(store, tmp_path, 1)
    run(store, tmp_path, 2, bad=0.5, recipe="others.code")
    found = change(store, recipe="others.code")
    assert (found.trained, found.version) == (False, 2)
    assert found.why == f"v2 {SAME}; it is not used, v1 is"
    assert found.row is not None
    assert found.row.image_auroc == 0.5, "what a run would say of it"
    run(store, tmp_path, 3, recipe="third.code")
    again = change(store, recipe="others.code")
    assert (again.trained, again.why) == (True, "since v3, which is used, the parameters changed")
    promote(Category(store, "models/parts/mono/").uri_of(2), "a person", "")
    assert change(store, recipe="others.code").why == f"v2 {SAME}"


def test_a_model_that_waits_for_a_person_is_not_made_again(store: Store, category: Category, tmp_path: Path) -> None:
    run(store, tmp_path, 1, gate="manual", min_auroc=0.5)
    found = change(store)
    assert (found.trained, found.why) == (False, f"v1 {SAME}; it is not used, nor is any other")
    other = change(store, recipe="others.code")
    assert (other.trained, other.why) == (True, "no model of it was promoted yet")
    promote(category.uri_of(1), "a person", "")
    assert change(store).why == f"v1 {SAME}"


def test_an_equal_package_of_another_recipe_is_what_it_was_made_of_last(store: Store, tmp_path: Path) -> None:
    run(store, tmp_path, 1)
    run(store, tmp_path, 1, recipe="parameters.newer")
    assert change(store, recipe="parameters.newer").why == f"v1 {SAME}"
    assert change(store).why == "since v1, which is used, the code of vqi changed"


def test_without_a_recipe_nothing_is_noted(store: Store, category: Category, tmp_path: Path) -> None:
    run(store, tmp_path, 1, recipe="")
    assert trained_of(category, 1) is None
    assert change(store).why == "it is not known what v1, which is used, was made of"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (f"v1/{TRAINED}", "it is not known what v1, which is used, was made of"),
        (f"v1/{METRICS}", "v1, which is used, is not whole"),
        (CHAMPION, "champion.json: "),
    ],
)
def test_what_is_damaged_is_made_again(store: Store, category: Category, tmp_path: Path, name: str, why: str) -> None:
    run(store, tmp_path, 1)
    store.put_bytes(category.key(name), b"{")
    found = change(store)
    assert (found.trained, found.row) == (True, None)
    assert why in found.why


@pytest.mark.parametrize("name", [BACKBONE, "detector.safetensors", MANIFEST])
def test_a_model_that_is_not_whole_is_made_again(store: Store, category: Category, tmp_path: Path, name: str) -> None:
    run(store, tmp_path, 1)
    network = category.backbones.key(category.manifest(1).files[BACKBONE])
    store.delete(network if name == BACKBONE else category.key(f"v1/{name}"))
    assert change(store).trained
    run(store, tmp_path, 1)
    assert change(store).trained == (name == "detector.safetensors"), "what was missing is there again"


def test_a_store_that_does_not_answer_is_no_reason_to_train(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(store, tmp_path, 1)
    get = store.get_bytes

    def fails(key: str) -> bytes:
        if key.endswith(METRICS):
            raise UnavailableError("no answer")
        return get(key)

    monkeypatch.setattr(store, "get_bytes", fails)
    with pytest.raises(UnavailableError):
        change(store)


def test_the_row_of_an_unchanged_category_is_in_the_table(store: Store, tmp_path: Path) -> None:
    run(store, tmp_path, 1)
    found = change(store)
    catalog_of = store.uri_of(f"datasets/{NOW}")
    entry = CategoryEntry(bytes=1, sha256=DATA, files={}, image_sizes={})
    catalog = Catalog(name="parts", source="folder:/x", digest="0" * 64, licence=None, categories={"mono": entry})
    changes = changes_of(store, catalog_of, catalog, RECIPE, "changed")
    assert changes.to_train == []
    leave_unchanged(store, "", catalog_of, changes)
    assert not [*store.list("runs/")], "by hand, without a run"
    leave_unchanged(store, "run-1", catalog_of, changes)
    outcomes = read_outcomes(store, "run-1", catalog_of)
    assert (outcomes.rows, outcomes.failed, outcomes.unchanged) == ([found.row], {}, {"mono": f"v1 {SAME}"})


class Model:
    """In place of scoring: the version says of each new photograph what its digest says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        monkeypatch.setattr(drifting, "scores_now", self)

    def __call__(self, category: Category, number: int, dataset: str, images: list[str]) -> dict[str, GoodNow]:
        assert (number, dataset.rpartition("/")[2]) == (1, NOW)
        self.asked += images
        return {one: GoodNow(float(one[:2]), place) for place, one in enumerate(images)}


def digests(scores: Iterable[int]) -> dict[str, str]:
    """Photographs whose scores are the first two digits of their digests."""
    return {f"train/good/{place}-{score}.png": f"{score:02}{place:062x}" for place, score in enumerate(scores)}


def trained_before(store: Store, folder: Path) -> None:
    """A champion of 40 good photographs, with scores from 10 to 49."""
    files, good = package(folder, 1), digests(range(10, 50))
    kept = HeldOut(images=tuple(one[:16] for one in good.values()), parts=tuple(range(40)),
                   scores=tuple(float(score) for score in range(10, 50)))  # fmt: skip
    write_metrics(files["metrics"], metrics(category="mono", held_out=kept, threshold=48.0))
    keep_photographs(store, f"datasets/{BEFORE}", {"mono": good})
    dataset = store.uri_of(f"datasets/{BEFORE}")
    publish_and_decide(store, **files, settings=Publish(recipe=RECIPE, dataset=dataset))


def now_there_are(store: Store, **more: str) -> None:
    keep_photographs(store, f"datasets/{NOW}", {"mono": {**digests(range(10, 50)), **more}})


def test_new_photographs_that_are_as_they_should_be_train_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = Model(monkeypatch)
    trained_before(store, tmp_path)
    new = {f"calibration/good/{k}.png": f"{k:02}{'f' * 62}" for k in range(15, 45)}
    now_there_are(store, **new, **{"test/dent/x.png": "99" + "e" * 62})
    found = change(store, "1" * 64, retrain_if="drifted")
    assert (found.trained, found.version) == (False, 1)
    assert found.row is not None
    assert sorted(scored.asked) == sorted(one[:16] for one in new.values()), "good ones that it does not know"
    assert found.drift is not None
    assert (found.drift.drifted, found.drift.parts, found.drift.others) == (False, 30, 40)
    assert found.why == (
        f"since v1, which is used, its photographs changed, and only a drift is a reason to train: {found.drift.text} "
        "(calibration/good: 30 new; test/dent: 1 new)"
    )
    assert change(store, "1" * 64).trained, "whatever they look like"
    assert change(store, DATA, retrain_if="drifted").why == f"v1 {SAME}"
    other = change(store, "1" * 64, recipe="others.code", retrain_if="drifted")
    assert (other.trained, other.drift) == (True, None), "another model is asked for"


def test_new_photographs_that_drifted_train(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Model(monkeypatch)
    trained_before(store, tmp_path)
    now_there_are(store, **{f"train/good/{k}.png": f"{k:02}{'f' * 62}" for k in range(40, 70)})
    found = change(store, "1" * 64, retrain_if="drifted")
    assert (found.trained, found.row) == (True, None)
    assert found.drift is not None
    assert found.drift.drifted
    assert found.why == f"since v1, which is used, its photographs changed: {found.drift.text} (train/good: 30 new)"


def test_no_new_good_photograph_is_no_drift(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = Model(monkeypatch)
    trained_before(store, tmp_path)
    now_there_are(store, **{"test/dent/x.png": "99" + "e" * 62})
    found = change(store, "1" * 64, retrain_if="drifted")
    assert (found.trained, found.drift, scored.asked) == (False, None, [])
    assert found.why.endswith("only a drift is a reason to train: no good one of them is new (test/dent: 1 new)")


@pytest.mark.parametrize("what", ["photographs", "scores", "package", "network"])
def test_a_drift_that_cannot_be_told_trains(
    store: Store, category: Category, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    Model(monkeypatch)
    trained_before(store, tmp_path)
    if what != "photographs":
        now_there_are(store, **{"train/good/x.png": "50" + "f" * 62})
    if what == "scores":
        store.put_bytes(category.key(f"v1/{METRICS}"), metrics(category="mono").model_dump_json().encode())
    if what == "package":
        (network,) = category.backbones.all().values()
        store.delete(network.key)
    if what == "network":
        monkeypatch.setattr(drifting, "scores_now", lambda *_: {})
    found = change(store, "1" * 64, retrain_if="drifted")
    assert (found.trained, found.row) == (True, None)
    assert re.search(
        r"its photographs changed; whether they drifted cannot be told: "
        + {
            "photographs": "the dataset does not say which photographs it has",
            "scores": "it is not known which photographs v1 was trained on, and how it scored them",
            "package": "v1 is not whole",
            "network": "none of 1 new photographs can be read",
        }[what],
        found.why,
    )
