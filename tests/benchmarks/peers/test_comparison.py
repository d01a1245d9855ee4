"""What the comparison with peers computes itself: without the peers, on small data."""

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.measure import Cost
from tests.benchmarks.peers import outcome, photographs, reference
from tests.benchmarks.peers.comparison import Runs, targets
from tests.benchmarks.peers.one_photograph import time_each
from tests.benchmarks.peers.outcome import Outcome, Phase


def test_an_outcome_is_read_as_it_was_written_and_the_best_of_several_counts(tmp_path: Path) -> None:
    one, other = Outcome({"fit": Phase(2, 3)}, {"auroc": 0.9}), Outcome({"fit": Phase(1, 4)}, {"auroc": 0.9})
    one.write(tmp_path / "outcome.json")
    assert outcome.read(tmp_path / "outcome.json") == one
    assert outcome.best([one, other]) == Outcome({"fit": Phase(1, 3)}, {"auroc": 0.9})


def test_a_phase_that_is_measured_twice_is_added() -> None:
    found = Outcome()
    for _ in range(2):
        with found.phase("fit"):
            before = found.phases.get("fit", Phase()).seconds
    assert found.phases["fit"].seconds > before
    assert found.total("fit", "fit").seconds == 2 * found.phases["fit"].seconds


def test_the_reference_sees_what_is_off_the_plane_of_the_good_ones() -> None:
    random = np.random.default_rng(0)
    plane = random.normal(size=(3, 50))
    good = random.normal(size=(40, 3)) @ plane
    bad = good + random.normal(size=good.shape)
    pca = reference.fitted(good)
    assert pca.n_components_ <= 3
    assert reference.reconstruction_error(pca, good).max() < reference.reconstruction_error(pca, bad).min()


def test_labels_are_those_of_the_folders(tmp_path: Path) -> None:
    for name in ("train/good/b.png", "train/good/a.png", "test/good/c.png", "test/defective/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [one.name for one in photographs.train(tmp_path)] == ["a.png", "b.png"]
    files, labels = photographs.test(tmp_path)
    assert [one.name for one in files] == ["d.png", "c.png"]
    assert labels == [1, 0]


def test_calls_take_turns_and_each_has_its_figures() -> None:
    seen: list[str] = []
    calls = {name: (lambda file, name=name: seen.append(f"{name} {file}")) for name in ("a", "b")}
    found = time_each(calls, [Path("1"), Path("2")], warm=0, count=3)
    assert seen == ["a 1", "b 1", "a 2", "b 2", "a 1", "b 1"]
    assert sorted(found.figures) == sorted(f"{name} {what}" for name in "ab" for what in ("p50", "p99", "processor"))


@pytest.mark.parametrize(("slower", "holds"), [(100.0, True), (0.5, False)])
def test_a_target_holds_when_the_peers_are_that_much_slower(slower: float, holds: bool) -> None:
    parts = ("compile", "read to fit", "network to fit", "fit", "read to score", "network to score")
    ours = Outcome({name: Phase(1, 1) for name in parts} | {"score": Phase(0, 0 if holds else 1)}, {"auroc": 0.9})
    peer = Outcome({"fit": Phase(slower, slower)}, {"auroc": 0.9 if holds else 0.95, "anomalib p50": slower})
    single = 1.0 if holds else 9.0
    one = {f"{call} p50": single for call in ("model", "exported")} | {"network p50": 1.0}
    outcomes = {
        "vqi run": ours, "vqi ensemble 320": ours, "vqi ensemble 256": ours, "one": Outcome({}, one),
        **dict.fromkeys(("reference 320", "dfm 320", "patchcore 256", "one dfm", "one padim"), peer),
    }  # fmt: skip
    cost = {name: Cost(1, 100 if holds else 4000, slower if found is peer else 1) for name, found in outcomes.items()}
    runs = {name: Runs([cost[name]], [found]) for name, found in outcomes.items()}
    assert {one.holds for one in targets(runs, 256)} == {holds}
