"""A model from photographs alone is the model of the pipeline's steps; it is saved, loaded and measured."""

import gc
import inspect
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import write_defect_dataset
from vqi.config import STEPS, FeatureExtract, PcaFit, Preprocess, SslFinetune
from vqi.errors import VqiError
from vqi.models.fitting import fit
from vqi.models.loading import load
from vqi.models.model import Model
from vqi.models.reading import Source, Stored

SMALL: dict[str, Any] = {
    "image_size": 64,
    "layer": ["blocks.2", "blocks.1"],
    "pool": 2,
    "engine": "eager",
    "precision": "fp32",
    "target_fpr": 0.2,
    "folds": 5,
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_defect_dataset(tmp_path_factory.mktemp("parts") / "parts", train=10, good=4, defective=3, size=80)


@pytest.fixture(scope="module")
def model(parts: Path) -> Model:
    return fit(parts / "bracket", **SMALL)


def test_the_keywords_are_parameters_of_the_steps_with_their_defaults() -> None:
    named = {"detector": "kind", "backbone": "backbone_name"}
    models = (Preprocess, SslFinetune, FeatureExtract, PcaFit)
    assert set(models) <= set(STEPS)
    given = {named.get(name, name) for name in inspect.signature(fit).parameters}
    assert set(PcaFit.model_fields) | set(SslFinetune.model_fields) <= given, "none of them is left out"
    for name, keyword in inspect.signature(fit).parameters.items():
        if name == "images":
            continue
        field = next(one.model_fields[key] for one in models if (key := named.get(name, name)) in one.model_fields)
        assert keyword.default == (field.default or None if name == "finetune" else field.default), name


def test_a_category_is_measured_on_its_test_images(parts: Path, model: Model) -> None:
    measured = model.metrics
    assert (measured.category, measured.train_images, measured.test_good, measured.test_anomalous) == (
        "bracket",
        10,
        4,
        6,
    )
    assert measured.pixel_auroc is not None
    assert (model.manifest.category, model.manifest.dataset, model.manifest.version) == ("bracket", "bracket", 0)
    again = model.evaluate(parts / "bracket" / "test")
    same = {"image_auroc", "recall", "false_alarm_rate", "threshold", "train_images", "test_good", "category"}
    assert again.model_dump(include=same) == pytest.approx(measured.model_dump(include=same))
    assert again.pixel_auroc is None, "no masks there"
    with_masks = model.evaluate(parts / "bracket")
    assert with_masks.pixel_auroc == pytest.approx(measured.pixel_auroc, abs=1e-4)


def test_test_images_that_show_what_trains_are_counted_against_it(parts: Path, tmp_path: Path) -> None:
    copied = tmp_path / "bracket"
    shutil.copytree(parts / "bracket", copied)
    for number, image in enumerate(sorted((copied / "train" / "good").iterdir())[:6]):
        shutil.copy(image, copied / "test" / "good" / f"again{number}.png")
    measured = fit(copied, **SMALL).metrics
    assert measured.usable == "not known"
    assert "test photographs show parts that it was trained on" in (measured.usable_why or "")


def test_saved_and_loaded_it_is_the_same(parts: Path, model: Model, tmp_path: Path) -> None:
    path = parts / "bracket" / "test" / "scratch" / "000.png"
    one, two = model.score(path), load(model.save(tmp_path / "model")).score(path)
    assert (one.score, one.boxes, one.version) == (two.score, two.boxes, 0)
    np.testing.assert_array_equal(one.map, two.map)


def test_its_files_go_when_it_goes(parts: Path) -> None:
    one = fit(parts / "bracket", **SMALL)
    folder = Path(one.uri.removeprefix("file://"))
    assert (folder / "manifest.json").is_file()
    del one
    gc.collect()
    assert not folder.exists()


def test_every_form_of_the_same_photographs_gives_the_same_model(parts: Path) -> None:
    paths = sorted((parts / "bracket" / "train" / "good").glob("*.png"))
    probe = parts / "bracket" / "test" / "spot" / "000.png"
    opened = [Image.open(io.BytesIO(path.read_bytes())) for path in paths]
    forms: list[Callable[[int], Source]] = [
        lambda row: paths[row],
        lambda row: str(paths[row]),
        lambda row: paths[row].read_bytes(),
        lambda row: np.asarray(opened[row].convert("RGB")),
        lambda row: opened[row],
        lambda row: io.BytesIO(paths[row].read_bytes()),
        lambda row: Stored("s3://b/x", paths[row].read_bytes),
    ]
    mixed = [forms[row % len(forms)](row) for row in range(len(paths))]
    models = [fit(images, **SMALL) for images in (paths[0].parent, paths, mixed)]
    assert len({one.threshold for one in models}) == 1
    assert len({one.score(probe).score for one in models}) == 1
    assert {one.metrics.test_images for one in models} == {0}
    assert [one.manifest.category for one in models] == ["bracket", "images", "images"]


def test_good_next_to_defective_parts_leaves_some_for_the_test(parts: Path, tmp_path: Path) -> None:
    for kind in ("good", "scratch"):
        source = parts / "bracket" / ("train/good" if kind == "good" else "test/scratch")
        (tmp_path / "mixed" / kind).parent.mkdir(exist_ok=True)
        (tmp_path / "mixed" / kind).symlink_to(source)
    measured = fit(tmp_path / "mixed", **SMALL).metrics
    assert measured.test_anomalous == 3
    assert measured.train_images + measured.test_good == 10
    assert measured.test_good >= 2


def test_one_bad_photograph_is_left_out(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = sorted((parts / "bracket" / "train" / "good").glob("*.png"))
    found = fit([*paths, b"no image", "/nowhere/x.png"], **SMALL)
    assert found.metrics.train_images == 10
    said = capsys.readouterr().err
    assert "unreadable image" in said
    assert "/nowhere/x.png" in said or "x.png" in said


def deep() -> Image.Image:
    return Image.fromarray(np.zeros((8, 8), np.uint16))


@pytest.mark.parametrize(
    ("images", "settings", "message"),
    [
        ("parts", {}, "expected the photographs of one category, got those of bracket, fabric: name one's folder"),
        ("gone", {}, "there is no folder"),
        ([], {}, "has no train images"),
        ([np.zeros((8, 8))], {}, "an image as an array: expected uint8 (H, W, 3) RGB, got float64 (8, 8)"),
        ([7], {}, "an image of type int: expected a path"),
        ([deep()], {}, "photograph: deeper than 8 bits (mode I;16): give its path or its bytes"),
        ([], {"target_fpr": 2}, "fit: target_fpr: Input should be less than 1, got 2"),
        (
            [],
            {"image_size": 7},
            "fit: image_size: expected pixels per side from 32 to 2048, such as 320;",
        ),
        ("parts/bracket", {"detector": "pcca"}, "unknown detector 'pcca': did you mean 'pca'?"),
    ],
)
def test_what_gives_no_model(parts: Path, images: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(VqiError) as error:
        fit(parts.parent / images if isinstance(images, str) else images, **SMALL | settings)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_cannot_be_measured(model: Model, parts: Path, tmp_path: Path) -> None:
    (tmp_path / "odd" / "good").mkdir(parents=True)
    with pytest.raises(VqiError, match=r"odd: expected photographs in odd/good and in odd/<type of defect>, got none"):
        model.evaluate(tmp_path / "odd")
    (tmp_path / "odd" / "good" / "a.png").touch()
    with pytest.raises(VqiError, match=r"odd: none of the 1 photographs can be read"):
        model.evaluate(tmp_path / "odd")
    for place, got in (("gone", "nothing"), ("odd/good/a.png", "a file")):
        with pytest.raises(VqiError, match=f"expected a folder of labelled photographs, got {got}"):
            model.evaluate(tmp_path / place)


def test_what_cannot_be_read_is_said_and_left_out(
    model: Model, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, count in (("good", 3), ("spot", 2)):
        for number in range(count):
            target = tmp_path / "lot" / kind / f"{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((parts / "bracket" / "test" / kind / f"00{number}.png").read_bytes())
    (tmp_path / "lot" / "spot" / "9.png").write_bytes(b"no image")
    (tmp_path / "lot" / "spot" / "8.png").symlink_to("/nowhere")
    (tmp_path / "lot" / "ground_truth" / "spot").mkdir(parents=True)
    (tmp_path / "lot" / "ground_truth" / "spot" / "0_mask.png").write_bytes(b"no mask")
    measured = model.evaluate(tmp_path / "lot")
    assert (measured.test_good, measured.test_anomalous) == (3, 2)
    said = capsys.readouterr().err
    assert "unreadable image test/spot/9.png: not an image of a known format" in said
    assert "unreadable image test/spot/8.png: a link to /nowhere" in said
    assert "mask ground_truth/spot/0_mask.png: unreadable: not an image" in said
