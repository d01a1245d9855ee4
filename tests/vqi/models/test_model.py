"""A published model gives new images the scores that evaluate gave them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vqi.artifacts.files import write_json, write_text
from vqi.artifacts.images import load_images
from vqi.artifacts.model import save_detector
from vqi.config import Evaluate, FeatureExtract, PcaFit
from vqi.datasets.shards import download, open_shard
from vqi.detectors.registry import fit_detector
from vqi.errors import VqiError
from vqi.evaluation import Evaluation, enlarge, evaluate
from vqi.models.model import Model, image_files, write_overlays
from vqi.models.registry import publish
from vqi.network.backbones import build, save_backbone
from vqi.network.features import extract_splits
from vqi.preparation.images import prepare
from vqi.store.opening import open_store


@dataclass(frozen=True)
class Trained:
    """A model, the images that it was evaluated on, and what was found."""

    uri: str
    category: Path  # the folder of images
    evaluation: Evaluation


@pytest.fixture(scope="module", params=["eager", "auto"])
def trained(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    make_defect_dataset: Callable[..., Path],
) -> Trained:
    folder = tmp_path_factory.mktemp("inference")
    source = make_defect_dataset(folder / "parts", ["bracket"], train=10, good=3, defective=2, size=80)
    store = open_store(f"file://{folder}/store")
    handle = download(f"folder:{source}", [], store)
    shard = open_shard(handle.uri, "bracket", folder)
    prepare(shard, folder / "images", "bracket", 64, 0.0, 10**6, dataset=handle.uri)
    images = load_images(folder / "images")
    backbone = build("tf_efficientnet_lite0", "random", image_size=64)
    settings = FeatureExtract(layer="blocks.2", pool=2, batch_size=4, engine=request.param)
    features = extract_splits(images, backbone, settings)
    detector = fit_detector(features, PcaFit(folds=5, target_fpr=0.2))
    evaluation = evaluate(images, features, detector, Evaluate(bootstrap=100))
    files = {name: folder / name for name in ("backbone", "detector", "metrics", "report")}
    save_backbone(files["backbone"], backbone, {})
    save_detector(files["detector"], detector)
    write_json(files["metrics"], evaluation.metrics)
    write_text(files["report"], "<p></p>")
    return Trained(publish(store, **files)["model"], source / "bracket", evaluation)


@pytest.fixture(scope="module")
def model(trained: Trained) -> Model:
    return Model(trained.uri)


def test_scores_decisions_and_maps_are_those_of_evaluate(trained: Trained, model: Model) -> None:
    rows = trained.evaluation.scores
    predictions = model.predict([trained.category / row.path for row in rows])
    assert [p.path for p in predictions] == [str(trained.category / row.path) for row in rows]
    for prediction, row, small in zip(predictions, rows, trained.evaluation.maps, strict=True):
        assert prediction.score == pytest.approx(row.score, rel=1e-5)
        assert prediction.decision == row.decision
        assert prediction.image.shape == (64, 64, 3)
        np.testing.assert_allclose(prediction.anomaly_map, enlarge(small, 64), rtol=1e-3, atol=1e-4)
    assert len({p.threshold for p in predictions}) == 1
    assert {row.decision for row in rows} == {0, 1}  # else the comparison of decisions says little


def test_an_image_is_scored_the_same_alone(trained: Trained, model: Model) -> None:
    paths = [trained.category / row.path for row in trained.evaluation.scores]
    together = model.predict(paths)
    assert model.predict(paths[4:5])[0].score == pytest.approx(together[4].score, rel=1e-6)


def test_another_kind_of_file_with_the_same_pixels(trained: Trained, model: Model, tmp_path: Path) -> None:
    path = trained.category / trained.evaluation.scores[0].path
    with Image.open(path) as image:
        image.convert("RGBA").save(tmp_path / "same.tiff")
    assert model.predict([tmp_path / "same.tiff"])[0].score == model.predict([path])[0].score


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n cut short"])
def test_unreadable_file(model: Model, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(VqiError, match=r"bad\.png") as error:
        model.predict([tmp_path / "bad.png"])
    assert "\n" not in str(error.value)


def test_nothing_to_predict(model: Model) -> None:
    assert model.predict([]) == []


def test_no_model_there(tmp_path: Path) -> None:
    with pytest.raises(VqiError, match="no model at"):
        Model(str(tmp_path))


def test_overlays(trained: Trained, model: Model, tmp_path: Path) -> None:
    images = image_files([trained.category / "test"])
    write_overlays(tmp_path / "maps", model.predict(images))
    written = sorted((tmp_path / "maps").iterdir())
    assert [path.name[2:] for path in written] == [f"{path.stem}.png" for path in images]  # same names stay apart
    with Image.open(written[0]) as overlay, Image.open(images[0]) as image:
        assert overlay.size == (64, 64)
        assert overlay.tobytes() != image.resize((64, 64)).tobytes()


# ------------------------------------------------------------------------------------------------------------- files


def test_folders_are_searched_to_the_bottom(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/deep/1.JPG", "b/notes.txt", "a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = image_files([tmp_path / "b", tmp_path / "a.png"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["b/2.png", "b/deep/1.JPG", "a.png"]
    assert image_files([tmp_path / "b" / "notes.txt"])  # what is named is tried


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(VqiError, match="gone: no such file or folder"):
        image_files([tmp_path / "gone"])
    with pytest.raises(VqiError, match=r"expected image files \(.*png.*\), got none"):
        image_files([tmp_path])
