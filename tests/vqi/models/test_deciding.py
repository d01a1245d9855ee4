"""What the gate makes of a run's model: who is the champion then, and what is written down."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.vqi.made import metrics
from tests.vqi.models.packages import KilledError, package
from tests.vqi.store.faulty_server import FaultyServer, Request, answer, etag, serving
from vqi.artifacts.decision import Decision
from vqi.artifacts.metrics import HeldOut, Scored, write_metrics
from vqi.config import Publish
from vqi.detectors.calibration import threshold_of
from vqi.errors import UnavailableError, VqiError
from vqi.metrics import operating_point as at_operating_point
from vqi.models import deciding, good_alone
from vqi.models.category import Category
from vqi.models.champion import champion_of, history, move, seen
from vqi.models.deciding import publish_and_decide
from vqi.models.gate import Measured
from vqi.models.overview import entries_of
from vqi.models.promotion import promote, rollback
from vqi.models.registry import publish, version_at
from vqi.models.rescoring import GoodNow
from vqi.store.interface import Store
from vqi.store.opening import open_store

GOOD, WORSE = 0.9, 0.5


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """In a folder alone: what differs on S3 is tried where versions and champions are."""
    return open_store(f"file://{tmp_path}/store")


def run(
    store: Store,
    folder: Path,
    number: int,
    bad: float = GOOD,
    settings: Publish | None = None,
    images: str = "a",
    *,
    scored: bool = True,
) -> Decision:
    """Publish model ``number``, which gives 50 good test images scores around 0.5, and 50 bad ones around ``bad``."""
    files = package(folder, number)
    scores = [*(0.4 + k / 250 for k in range(50)), *(bad + k / 250 for k in range(50))]
    kept = Scored(images=images * 64, labels="0" * 50 + "1" * 50, scores=tuple(scores)) if scored else None
    auroc = {GOOD: 1.0, WORSE: 0.8}[bad]
    write_metrics(files["metrics"], metrics(scored=kept, threshold=0.7, image_auroc=auroc))
    return publish_and_decide(store, **files, settings=settings or Publish())


def test_a_run_after_the_other(
    store: Store, category: Category, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(store, tmp_path, 1, settings=Publish(run="run-7"))
    assert first == Decision(
        published=True, model=category.uri_of(1), version=1, verdict="promoted", reasons=("it is the first one",),
        champion=1,
    )  # fmt: skip
    assert capsys.readouterr().err == f"gate: {category.uri}: v1 promoted: it is the first one\n"
    again = run(store, tmp_path / "again", 1)
    assert (again.published, again.version, again.verdict, again.champion) == (False, 1, "unchanged", 1)
    equal = run(store, tmp_path, 2)
    assert (equal.version, equal.verdict, equal.champion) == (2, "promoted", 2)
    assert equal.reasons[0] == "against v1"
    worse = run(store, tmp_path, 3, WORSE)
    assert (worse.published, worse.version, worse.verdict, worse.champion) == (True, 3, "rejected", 2)
    assert "worse by more than the 0.01 that is allowed" in worse.reasons[1]
    other = run(store, tmp_path, 4, images="b")
    assert (other.verdict, other.champion) == ("held", 2)
    assert "different images" in other.reasons[1]
    moves = history(category)
    assert [(one.version, one.by) for one in moves] == [(1, "the gate of run run-7"), (2, "the gate")]
    assert moves[0].why == "it is the first one"
    verdicts = [one.verdict.verdict if one.verdict else "" for one in entries_of(category)]
    assert verdicts == ["promoted", "promoted", "rejected", "held"]
    assert version_at(category.uri) == category.uri_of(2)
    lenient = run(store, tmp_path, 5, WORSE, Publish(max_regression=1.0))
    assert (lenient.verdict, lenient.champion) == ("promoted", 5)


def test_a_floor_for_the_first_one(store: Store, category: Category, tmp_path: Path) -> None:
    settings = Publish(min_auroc=0.9)
    assert run(store, tmp_path, 1, WORSE, settings).verdict == "rejected"
    with pytest.raises(VqiError, match=r"there is no champion yet, and v1 was not promoted: .*models show .*mono/v1"):
        version_at(category.uri)
    assert run(store, tmp_path, 1, WORSE, settings).verdict == "rejected", "and again"
    found = run(store, tmp_path, 2, GOOD, settings)
    assert (found.verdict, found.champion) == ("promoted", 2)


def test_manual_and_off(store: Store, category: Category, tmp_path: Path) -> None:
    manual = run(store, tmp_path, 1, settings=Publish(gate="manual"))
    assert (manual.verdict, manual.champion) == ("held", None)
    assert manual.reasons == (
        "the gate is manual: a person promotes", "it would promote this", "it is the first one",
    )  # fmt: skip
    promote(category.uri_of(1), "me", "")
    worse = run(store, tmp_path, 2, WORSE, Publish(gate="manual"))
    assert (worse.verdict, worse.champion, worse.reasons[1]) == ("held", 1, "it would reject this")
    off = run(store, tmp_path, 2, WORSE, Publish(gate="off"))
    assert (off.published, off.verdict, off.reasons, off.champion) == (False, "promoted", ("the gate is off",), 2)


def test_what_a_person_rolled_back_is_not_promoted_again(store: Store, category: Category, tmp_path: Path) -> None:
    run(store, tmp_path, 1)
    run(store, tmp_path, 2)
    rollback(category.uri, "anna", "false alarms at night")
    again = run(store, tmp_path, 2)
    assert (again.published, again.verdict, again.champion) == (False, "held", 1)
    assert again.reasons == ("it was the champion before, until anna took v1: a person promotes it",)
    kept = entries_of(category)[1].verdict
    assert kept is not None
    assert kept.verdict == "promoted", "what the gate said of it then"
    assert run(store, tmp_path, 3).verdict == "promoted"


def test_a_store_of_an_earlier_vqi(store: Store, category: Category, tmp_path: Path) -> None:
    """What was used there is used on, until something better is known."""
    for number in (1, 2):
        publish(store, **package(tmp_path / "before", number))
    found = run(store, tmp_path, 3)
    assert (found.version, found.verdict, found.champion) == (3, "held", None)
    assert "what was measured of v2 cannot be read" in found.reasons[0]
    assert version_at(category.uri) == category.uri_of(2)
    files = package(tmp_path / "kept none", 4)
    write_metrics(files["metrics"], metrics())
    publish(store, **files)
    found = run(store, tmp_path, 5)
    assert (found.verdict, found.reasons[0]) == ("held", "against v4")
    assert "the champion's scores of its test images were not kept" in found.reasons[1]
    assert run(store, tmp_path, 6, scored=False).verdict == "held"
    promote(category.uri_of(3), "me", "")
    assert run(store, tmp_path, 7).verdict == "promoted"


def test_killed_before_the_decision_it_is_made_by_the_next_run(
    store: Store, category: Category, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(deciding, "move", killed)
        with pytest.raises(KilledError):
            run(store, tmp_path, 1)
    (entry,) = entries_of(category)
    assert entry.verdict is not None
    assert (entry.verdict.verdict, entry.verdict.reasons) == ("held", ("the gate has not decided yet",))
    with pytest.raises(VqiError, match="there is no champion yet"):
        version_at(category.uri)
    found = run(store, tmp_path, 1)
    assert (found.published, found.verdict, found.champion) == (False, "promoted", 1)


def test_runs_at_once(store: Store, category: Category, tmp_path: Path) -> None:
    """Each is promoted after the other, or compared with what was promoted meanwhile."""
    barrier = threading.Barrier(6)

    def one(number: int) -> Decision:
        barrier.wait()
        return run(store, tmp_path / str(number), number)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(one, range(6)))
    assert {decision.verdict for decision in found} == {"promoted"}
    moves = history(category)
    assert [one.number for one in moves] == list(range(1, 7))
    assert sorted(one.version for one in moves) == [1, 2, 3, 4, 5, 6]
    assert champion_of(category) == moves[-1]


def test_a_race_that_is_lost_again_and_again_is_for_a_person(
    store: Store, category: Category, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(store, tmp_path, 1)
    run(store, tmp_path, 2)
    real = move
    turns = iter(range(100))

    def others_first(where: Category, *args: object, **more: object) -> object:
        real(where, seen(where), 1 + next(turns) % 2, "somebody", "")
        return real(where, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(deciding, "move", others_first)
    found = run(store, tmp_path, 3)
    assert found.verdict == "held"
    assert found.reasons == ("others moved the champion 10 times while the gate decided",)


def test_a_server_that_ignores_conditions(
    s3_environment: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ignores(server: FaultyServer, request: Request) -> list[bytes] | None:
        if not request.is_put:
            return None
        server.objects[request.key] = request.body
        return answer(200, ETag=f'"{etag(request.body)}"')

    with serving(ignores) as server:
        monkeypatch.setenv("VQI_S3_ENDPOINT", server.endpoint)
        found = run(open_store("s3://bucket/p"), tmp_path, 1)
    assert (found.published, found.verdict, found.champion) == (True, "held", None)
    assert "nothing is promoted: " in found.reasons[0]
    assert "ignores the conditions" in found.reasons[0]


@pytest.mark.parametrize("name", ["champion.json", "history/1.json"])
def test_what_is_damaged_of_the_champion_ends_no_run(
    store: Store, tmp_path: Path, category: Category, name: str
) -> None:
    """The model is a version that waits for a person, who is told what to remove."""
    for number in (1, 2):
        run(store, tmp_path, number, settings=Publish(gate="off"))
    store.put_bytes(category.key(name), b"{")
    found = run(store, tmp_path, 3, bad=WORSE)
    assert (found.published, found.version, found.verdict) == (True, 3, "held")
    assert found.reasons[0].startswith("nothing is promoted: ")
    assert f"{name}: " in found.reasons[0]
    assert "remove it and promote a version" in found.reasons[0]
    store.delete(category.key(name))
    promote(category.uri_of(2), "me", "")
    assert version_at(category.uri).endswith("/v2")


class Now:
    """In place of scoring the champion now: what it would say, and of which versions that was asked."""

    def __init__(self, bad: float = GOOD, images: str = "b", error: VqiError | None = None) -> None:
        self.bad, self.images, self.error = bad, images, error
        self.asked: list[tuple[int, str, str]] = []
        self.trained: np.ndarray | None = np.zeros(100, np.bool_)

    def __call__(self, category: Category, number: int, dataset: str, images: str) -> Measured:
        self.asked.append((number, dataset, images))
        if self.error is not None:
            raise self.error
        scores = np.array([*(0.4 + k / 250 for k in range(50)), *(self.bad + k / 250 for k in range(50))])
        labels = np.repeat(np.arange(2), 50)
        return Measured(self.images * 64, labels, scores, 0.7, 0.05, 0.05, 30, "with eager fp32, in 3 s", self.trained)


DATASET = Publish(dataset="file:///store/datasets/parts@1")


@pytest.mark.parametrize(
    ("champion", "challenger", "verdict"),
    [(GOOD, GOOD, "promoted"), (GOOD, WORSE, "rejected"), (WORSE, GOOD, "promoted")],
)
def test_a_champion_of_other_test_images_is_scored_on_these(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, champion: float, challenger: float, verdict: str
) -> None:
    now = Now(champion)
    monkeypatch.setattr(deciding, "measured_now", now)
    run(store, tmp_path, 1, settings=DATASET)
    assert not now.asked
    found = run(store, tmp_path, 2, challenger, DATASET, images="b")
    assert found.verdict == verdict
    assert now.asked == [(1, DATASET.dataset, "b" * 64)]
    assert found.reasons[-1] == ("the champion was scored anew on the same 100 test images (with eager fp32, in 3 s)")


def test_what_was_measured_of_the_same_images_is_not_scored_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = Now()
    monkeypatch.setattr(deciding, "measured_now", now)
    run(store, tmp_path, 1, settings=DATASET)
    assert run(store, tmp_path, 2, settings=DATASET).verdict == "promoted"
    assert run(store, tmp_path, 3, settings=DATASET, scored=False).verdict == "held", "there is nothing to compare"
    assert run(store, tmp_path, 4, images="b").verdict == "held", "by hand, without a dataset"
    assert not now.asked


def test_a_champion_whose_scores_were_not_kept_or_cannot_be_read_is_scored(
    store: Store,
    category: Category,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(deciding, "measured_now", Now(images="a"))
    run(store, tmp_path, 1, settings=DATASET, scored=False)
    assert run(store, tmp_path, 2, settings=DATASET).verdict == "promoted"
    store.put_bytes(category.key("v2/metrics.json"), b"{}")
    assert run(store, tmp_path, 3, settings=DATASET).verdict == "promoted"
    assert "note: what was measured of v2 cannot be read: " in capsys.readouterr().err


def test_a_champion_that_cannot_be_scored_is_for_a_person(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(store, tmp_path, 1, settings=DATASET)
    monkeypatch.setattr(deciding, "measured_now", Now(error=VqiError("v1/backbone.safetensors: damaged")))
    found = run(store, tmp_path, 2, settings=DATASET, images="b")
    assert (found.verdict, found.reasons) == (
        "held", ("v1 cannot be scored on these test images: v1/backbone.safetensors: damaged",)
    )  # fmt: skip
    monkeypatch.setattr(deciding, "measured_now", Now(images="c"))
    found = run(store, tmp_path, 3, settings=DATASET, images="b")
    assert found.verdict == "held", "it reads other ones of them"
    assert "were measured on different images" in found.reasons[1]
    monkeypatch.setattr(deciding, "measured_now", Now(error=UnavailableError("no answer")))
    with pytest.raises(UnavailableError):
        run(store, tmp_path, 4, settings=DATASET, images="b")


def test_images_that_the_champion_was_trained_on_are_left_out_of_both(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the same AUROC as the new one on the others, and a higher one with them."""
    now = Now()
    run(store, tmp_path, 1, settings=DATASET)
    monkeypatch.setattr(deciding, "measured_now", now)
    now.trained = np.arange(100) >= 50
    found = run(store, tmp_path, 2, WORSE, DATASET, images="b")
    assert (found.verdict, found.reasons[-1]) == (
        "promoted", "left out: 50 test images that the champion was trained on"
    )  # fmt: skip
    assert "the champion was scored anew on the same 50 test images" in found.reasons[-2]
    now.trained, now.images = None, "c"
    found = run(store, tmp_path, 3, WORSE, DATASET, images="c")
    assert found.reasons[-1] == "it is not known whether the champion was trained on some of them"
    now.trained = np.ones(100, np.bool_)
    found = run(store, tmp_path, 4, GOOD, DATASET, images="c")
    assert found.verdict == "held"
    assert "there are no test images of good parts" in found.reasons[1]


def unlabelled(
    store: Store, folder: Path, number: int, scores: np.ndarray, good: int = 0, settings: Publish | None = None
) -> Decision:
    """Publish model ``number``, whose threshold these scores of good images set, with ``good`` test images."""
    files = package(folder, number)
    kept = HeldOut(
        images=tuple(f"{k:016x}" for k in range(len(scores))), parts=tuple(range(len(scores))), scores=tuple(scores)
    )
    scored = Scored(images=str(good % 10) * 64, labels="0" * good, scores=tuple(np.linspace(1, 2, good)))
    point = at_operating_point(threshold_of(np.asarray(scores), 0.05), np.zeros(0, np.int64), np.zeros(0), [])
    found = metrics(scored=scored, held_out=kept, threshold=point.threshold, operating_points=(point,))
    write_metrics(files["metrics"], found)
    return publish_and_decide(store, **files, settings=settings or Publish())


def test_without_test_images_good_ones_alone_decide(store: Store, tmp_path: Path) -> None:
    scores = np.linspace(1, 2, 100)
    assert unlabelled(store, tmp_path, 1, scores).verdict == "promoted"
    alike = unlabelled(store, tmp_path, 2, scores * 1.1)
    assert (alike.verdict, alike.champion) == ("promoted", 2)
    assert alike.reasons[:2] == (
        "against v1", "no test image shows a defect: decided on 100 good parts that neither model was trained on"
    )  # fmt: skip
    other = unlabelled(store, tmp_path, 3, np.random.default_rng(0).permutation(scores))
    assert (other.verdict, other.champion) == ("held", 2)
    assert "they do not find the same parts unusual" in other.reasons[1]
    more = unlabelled(store, tmp_path, 4, np.linspace(1, 2, 101))
    assert (more.verdict, more.reasons) == (
        "held", ("on good images alone: it is not known which photographs v2 was trained on",)
    )  # fmt: skip


def test_good_test_images_are_asked_beside_those_that_set_the_threshold(store: Store, tmp_path: Path) -> None:
    scores = np.linspace(1, 2, 100)
    unlabelled(store, tmp_path, 1, scores, good=30)
    found = unlabelled(store, tmp_path, 2, scores * 1.1, good=30)
    assert found.verdict == "promoted"
    assert "the champion was measured on the same 30 test images" in found.reasons
    assert "rank correlation of both models' scores 1.00" in found.reasons
    assert unlabelled(store, tmp_path, 3, scores, good=31).verdict == "held", "other ones, and no dataset"
    low = unlabelled(store, tmp_path, 4, scores / 2, good=30)
    assert (low.verdict, "more than chance allows" in low.reasons[1]) == ("rejected", True)


def test_a_champion_without_scores_of_good_images(store: Store, category: Category, tmp_path: Path) -> None:
    files = package(tmp_path / "before", 1)
    write_metrics(files["metrics"], metrics())
    publish(store, **files)
    found = unlabelled(store, tmp_path, 2, np.linspace(1, 2, 100))
    assert (found.verdict, found.champion) == ("held", None)
    assert found.reasons == ("the champion's scores were not kept by the vqi that made it: a person promotes",)


def test_with_labelled_test_images_new_good_parts_are_told_of_and_decide_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The champion finds each of the new parts most unusual."""
    scored = Scored(images="a" * 64, labels="01" * 50, scores=tuple(float(k % 2) for k in range(100)))

    def made(number: int, parts: int) -> Decision:
        files = package(tmp_path, number)
        names = tuple(f"{k:016x}" for k in range(parts))
        kept = HeldOut(images=names, parts=tuple(range(parts)), scores=tuple(np.linspace(0.1, 0.4, parts)))
        write_metrics(files["metrics"], metrics(scored=scored, held_out=kept, threshold=0.5, image_auroc=1.0))
        return publish_and_decide(store, **files, settings=DATASET)

    monkeypatch.setattr(good_alone, "trained_on", lambda *_: set())
    monkeypatch.setattr(good_alone, "scores_now", lambda *given: {one: GoodNow(9.0, 0) for one in given[3]})
    made(1, 50)
    same = made(2, 50)
    assert (same.verdict, same.drift) == ("promoted", None)
    more = made(3, 80)
    assert more.verdict == "promoted"
    assert more.drift is not None
    assert (more.drift.drifted, more.drift.version, more.drift.parts) == (True, 2, 30)
    assert more.drift.text in more.reasons

    def damaged(*_: object) -> None:
        raise VqiError("v3/backbone.safetensors: damaged")

    monkeypatch.setattr(good_alone, "scores_now", damaged)
    capsys.readouterr()
    unknown = made(4, 120)
    assert (unknown.verdict, unknown.drift) == ("promoted", None)
    assert (
        "note: what v3 says of new good parts is not known: v3/backbone.safetensors: damaged\n"
        in capsys.readouterr().err
    )
