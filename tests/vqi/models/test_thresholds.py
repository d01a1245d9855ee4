"""A version with the threshold of another rate: from what a version keeps, with the network of that one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.vqi.made import detector_artifact, images_record, metrics
from tests.vqi.models.packages import package
from vqi.artifacts.detector import DetectorArtifact, load_detector, save_detector
from vqi.artifacts.metrics import Metrics, scored_of, write_metrics
from vqi.config import PcaFit, Publish
from vqi.datasets.photographs import keep_photographs
from vqi.detectors.calibration import operating_points, threshold_of
from vqi.detectors.map_limit import map_limit
from vqi.errors import VqiError
from vqi.metrics import at_threshold, operating_point
from vqi.models import pruning
from vqi.models.category import Category
from vqi.models.deciding import publish_and_decide
from vqi.models.figures import metrics_of
from vqi.models.manifest import BACKBONE, MANIFEST, Manifest
from vqi.models.promotion import promote, rollback
from vqi.models.registry import fetch_model, save_model, version_at
from vqi.models.thresholds import change_threshold, points_of
from vqi.models.trained import trained_of
from vqi.store.interface import Store

PARTS = 300  # good ones that set the threshold
DATASET = "parts@000000000000"
TYPES = ("dent", "scratch")


def detector(number: int) -> DetectorArtifact:
    random = np.random.default_rng(0)
    scores, highest, groups = random.lognormal(size=PARTS), random.lognormal(size=PARTS), np.arange(PARTS)
    made = detector_artifact(number, images=images_record(dataset=DATASET, category="mono", image_size=64))
    record = made.record.model_copy(
        update={"operating_points": operating_points(scores, 0.05), "map_limit": map_limit(highest, 0.05, groups)}
    )
    return replace(made, calibration_scores=scores, groups=groups, record=record, highest=highest)


def images() -> list[tuple[str, int, str]]:
    """Of 60 good parts and 30 with a defect of either type, with the digests that the dataset has."""
    good = [(f"{k:064x}", 0, f"test/good/{k}.png") for k in range(60)]
    return good + [(f"{60 + k:064x}", 1, f"test/{TYPES[k % 2]}/{k}.png") for k in range(60)]


def measured(artifact: DetectorArtifact) -> Metrics:
    random = np.random.default_rng(1)
    labels = np.array([label for _, label, _ in images()])
    scores = random.lognormal(size=120) * (1 + 4 * labels)
    types = [path.split("/")[1] for _, _, path in images()]
    point = artifact.record.threshold
    points = tuple(operating_point(one, labels, scores, types) for one in artifact.record.operating_points)
    return metrics(
        category="mono", test_images=120, threshold=point.value, target_fpr=0.05, scored=scored_of(images(), scores),
        operating_points=points, image_auroc=0.9, **dict(at_threshold(labels, scores, point.value)),
    )  # fmt: skip


def publish(store: Store, folder: Path, number: int = 1, *, gate: str = "auto", kept: bool = True) -> Metrics:
    files = package(folder, number)
    artifact = detector(number)
    save_detector(files["detector"], artifact if kept else replace(artifact, highest=None))
    write_metrics(files["metrics"], found := measured(artifact))
    digests = {"mono": {path: sha256 for sha256, _, path in images()} | {"train/good/a.png": "f" * 64}}
    keep_photographs(store, f"datasets/{DATASET}", digests)
    settings = Publish(recipe="a.b", dataset=store.uri_of(f"datasets/{DATASET}"), gate=gate)
    publish_and_decide(store, **files, settings=settings)
    return found


def test_the_threshold_of_another_rate_is_the_champion_then(store: Store, category: Category, tmp_path: Path) -> None:
    before = publish(store, tmp_path)
    found = change_threshold(category.uri, 0.02, Publish(), "the gate, for anna")
    assert (found.published, found.version, found.verdict, found.champion) == (True, 2, "promoted", 2)
    assert "recall" in found.reasons[2]
    assert "their promised rates differ" in found.reasons[2]
    folder = save_model(category.uri, tmp_path / "model")
    artifact, old = load_detector(folder / "detector.safetensors"), detector(1)
    assert artifact.record.settings == PcaFit(**{**dict(old.record.settings), "target_fpr": 0.02})
    expected = threshold_of(old.calibration_scores, 0.02)
    assert artifact.record.threshold == expected
    assert artifact.record.map_limit == map_limit(old.highest, 0.02, old.groups)  # type: ignore[arg-type]
    assert artifact.record.map_limit > old.record.map_limit
    assert {name: array.tolist() for name, array in artifact.arrays.items()} == {
        name: array.tolist() for name, array in old.arrays.items()
    }
    now = metrics_of(category, 2)
    assert (now.threshold, now.target_fpr, now.image_auroc) == (expected.value, 0.02, 0.9)
    assert now.recall is not None
    assert before.recall is not None
    assert now.recall < before.recall
    assert now.operating_points == before.operating_points
    assert now.scored == before.scored
    assert "another threshold: 2" in (folder / "report.html").read_text()


def test_the_network_is_kept_once(store: Store, category: Category, tmp_path: Path) -> None:
    publish(store, tmp_path)
    change_threshold(category.uri_of(1), 0.02, Publish(), "the gate")
    change_threshold(category.uri_of(2), 0.1, Publish(), "the gate")
    assert not [names for names in category.files().values() if BACKBONE in names]
    assert [*category.backbones.all()] == [category.manifest(3).files[BACKBONE]]
    saved = save_model(category.uri_of(3), tmp_path / "saved")
    assert (saved / BACKBONE).read_bytes() == b"weights" * 1000
    assert fetch_model(str(saved), tmp_path).by_digest == (), "a copy is complete in itself"
    assert rollback(category.uri, "me", "").champion.version == 2
    assert promote(category.uri_of(3), "me", "").champion.version == 3
    again = change_threshold(category.uri_of(1), 0.02, Publish(), "the gate")
    assert (again.published, again.version) == (False, 2)


def share_as_before(category: Category, number: int, source: int) -> None:
    """A version as an earlier vqi wrote it, whose network is in the folder of another one."""
    manifest = category.manifest(number)
    key = category.backbones.key(manifest.files[BACKBONE])
    category.store.put_bytes(category.key(f"v{source}/{BACKBONE}"), category.store.get_bytes(key))
    for one, shared in ((source, {}), (number, {BACKBONE: source})):
        before = category.manifest(one).model_dump(exclude={"by_digest", "shared"})
        content = json.dumps(Manifest(**before, shared=shared).model_dump(mode="json"))
        category.store.put_bytes(category.key(f"v{one}/{MANIFEST}"), content.encode())


def test_what_versions_of_an_earlier_vqi_share_is_not_removed(store: Store, category: Category, tmp_path: Path) -> None:
    publish(store, tmp_path)
    change_threshold(category.uri_of(1), 0.02, Publish(), "the gate")
    share_as_before(category, 2, 1)
    for number in (2, 3, 4):
        publish(store, tmp_path, number, gate="off")
    store.delete(category.backbones.key(category.manifest(1).files[BACKBONE]))
    assert fetch_model(category.uri_of(2), tmp_path / "fetched").shared == {BACKBONE: 1}
    found = pruning.plan(category, keep=1)
    assert (found.kept, list(found.removed)) == ({4: "the champion before", 5: "the champion"}, [1, 2, 3])
    promote(category.uri_of(2), "me", "")
    found = pruning.plan(category, keep=1)
    assert found.kept == {1: "v2 shares its network", 2: "the champion", 5: "the champion before"}
    change_threshold(category.uri_of(2), 0.1, Publish(gate="off"), "the gate")
    assert category.manifest(6).by_digest == (BACKBONE,)


def test_a_run_that_would_make_the_same_model_is_unchanged_still(
    store: Store, category: Category, tmp_path: Path
) -> None:
    publish(store, tmp_path)
    change_threshold(category.uri, 0.02, Publish(), "the gate")
    made, before = trained_of(category, 2), trained_of(category, 1)
    assert made is not None
    assert before is not None
    assert made == before.model_copy(update={"used": 2})


def test_points_of_a_rate_that_was_not_measured(store: Store, category: Category, tmp_path: Path) -> None:
    """By type of defect, too, which the dataset says of each image."""
    before = publish(store, tmp_path)
    points = points_of(category.uri)
    assert (points.version, points.target_fpr, points.points) == (1, 0.05, before.operating_points)
    assert [one.target_fpr for one in points.points] == [0.005, 0.01, 0.02, 0.05, 0.1]
    more = points_of(category.uri, 0.03).points
    assert [one.target_fpr for one in more] == [0.005, 0.01, 0.02, 0.03, 0.05, 0.1]
    (new,) = [one for one in more if one.target_fpr == 0.03]
    assert {*new.recall_by_type} == {*TYPES}
    assert new.recall == pytest.approx(np.mean([*new.recall_by_type.values()]))
    assert before.scored is not None
    above = [
        score > new.threshold
        for score, label in zip(before.scored.scores, before.scored.labels, strict=True)
        if label == "1"
    ]
    assert new.recall == np.mean(above)
    store.delete(f"datasets/{DATASET}/photographs.json")
    (new,) = [one for one in points_of(category.uri, 0.03).points if one.target_fpr == 0.03]
    assert new.recall_by_type == {}
    assert points_of(category.uri, 0.02).points == before.operating_points, "they were measured"


def test_what_cannot_be(store: Store, category: Category, tmp_path: Path) -> None:
    publish(store, tmp_path)
    with pytest.raises(VqiError, match=r"mono/v1 has the threshold of target_fpr 0\.05: name another rate"):
        change_threshold(category.uri, 0.05, Publish(), "the gate")
    publish(store, tmp_path / "before", 2, kept=False, gate="off")
    with pytest.raises(VqiError, match="has no scores of the maps of good parts: train the category again"):
        change_threshold(category.uri, 0.02, Publish(), "the gate")
    store.put_bytes(category.backbones.key(category.manifest(1).files[BACKBONE]), b"damaged")
    with pytest.raises(VqiError, match="not the file that the manifest names"):
        change_threshold(category.uri_of(1), 0.02, Publish(), "the gate")
    assert category.complete() == [1, 2]


def test_the_gate_asks_a_person(store: Store, category: Category, tmp_path: Path) -> None:
    publish(store, tmp_path)
    found = change_threshold(category.uri, 0.02, Publish(gate="manual"), "the gate")
    assert (found.verdict, found.champion) == ("held", 1)
    assert version_at(category.uri) == category.uri_of(1)
