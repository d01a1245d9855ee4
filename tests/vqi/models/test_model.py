"""A published model gives new images the scores that evaluate gave them, on this machine and on another."""

import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import write_defect_dataset
from tests.vqi.made import finetune_record
from tests.vqi.photographs.written import png
from vqi.artifacts.detector import save_detector
from vqi.artifacts.files import write_text
from vqi.artifacts.images import load_images
from vqi.artifacts.metrics import write_metrics
from vqi.artifacts.scores import ScoreRow, load_maps, read_scores, save_maps, write_scores
from vqi.config import DatasetDownload, Evaluate, FeatureExtract, PcaFit
from vqi.datasets.download import download
from vqi.datasets.shards import open_shard
from vqi.detectors.grid import resized
from vqi.detectors.registry import fit_detector
from vqi.errors import VqiError
from vqi.evaluation import evaluate
from vqi.models.loading import load
from vqi.models.model import PRECISION_TOLERANCE, Model, score_tolerance
from vqi.models.reading import Failure, Reader, Source, Stored
from vqi.models.registry import publish
from vqi.models.result import Result
from vqi.models.scorer import DECODERS
from vqi.network import engines, extraction
from vqi.network.backbones import save_backbone
from vqi.network.building import build
from vqi.network.features import extract_splits
from vqi.preparation.images import prepare
from vqi.sizes import square
from vqi.store.opening import open_store

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
MAX_PIXELS = 80 * 80


@dataclass(frozen=True)
class Trained:
    """A model, the images that it was evaluated on, and what was found."""

    folder: Path

    @property
    def uri(self) -> str:
        return f"file://{self.folder}/store/models/parts/bracket/v1"

    @property
    def rows(self) -> list[ScoreRow]:
        return read_scores(self.folder / "scores.csv")

    @property
    def paths(self) -> list[Path]:
        return [self.folder / "parts" / "bracket" / row.path for row in self.rows]


def make(folder: Path, engine: str, precision: str = "auto") -> Trained:
    """Train, evaluate and publish a model of made-up parts."""
    source = write_defect_dataset(folder / "parts", ["bracket"], train=10, good=3, defective=2, size=80)
    store = open_store(f"file://{folder}/store")
    handle = download(DatasetDownload(source=f"folder:{source}"), store)
    shard = open_shard(handle.uri, "bracket", folder)
    prepare(shard, folder / "images", "bracket", "64", 0.0, MAX_PIXELS, dataset=handle.uri)
    images = load_images(folder / "images")
    backbone = replace(build("tf_efficientnet_lite0", "pretrained", size=square(64)), made=finetune_record())
    settings = FeatureExtract(
        layer='["blocks.2", "blocks.1"]', pool=2, batch_size=4, engine=engine, precision=precision
    )
    features = extract_splits(images, backbone, settings)
    detector = fit_detector(features, PcaFit(kind="pca", folds=5, target_fpr=0.2))
    evaluation = evaluate(images, features, detector, Evaluate(bootstrap=100))
    files = {name: folder / name for name in ("backbone", "detector", "metrics", "report")}
    save_backbone(files["backbone"], backbone, finetune_record())
    save_detector(files["detector"], detector)
    write_metrics(files["metrics"], evaluation.metrics)
    write_text(files["report"], "<p></p>")
    write_scores(folder / "scores.csv", evaluation.scores)
    save_maps(folder / "maps", evaluation.maps, {})
    publish(store, **files)
    return Trained(folder)


def results(model: Model, images: Iterable[Source]) -> list[Result]:
    """Of images that all have a score."""
    found = list(model.score_many(images))
    failed = [one for one in found if isinstance(one, Failure)]
    assert failed == []
    return [one for one in found if isinstance(one, Result)]


@pytest.fixture(scope="module", params=["eager", "auto"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make(tmp_path_factory.mktemp("model"), request.param)


@pytest.fixture(scope="module")
def model(trained: Trained) -> Model:
    return Model(trained.uri)


def test_scores_verdicts_and_maps_are_those_of_evaluate(trained: Trained, model: Model) -> None:
    rows, maps = trained.rows, load_maps(trained.folder / "maps")
    found = results(model, trained.paths)
    assert [one.name for one in found] == [str(path) for path in trained.paths]
    for one, row, small in zip(found, rows, maps, strict=True):
        assert one.score == pytest.approx(row.score, rel=1e-5)
        assert one.flagged == bool(row.decision)
        assert 0 < one.p_value <= 1
        assert one.p_value == pytest.approx(row.p_value, abs=0.05)
        assert (one.width, one.height) == (80, 80)
        assert one.photograph is None
        assert one.seconds > 0
        np.testing.assert_allclose(one.map, small, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(one.map_at(64, 64), resized(small, (64, 64)), rtol=1e-3, atol=1e-4)
        assert one.map_at().shape == (80, 80)
    assert {(one.threshold, one.version, one.map_limit) for one in found} == {(model.threshold, 1, model.map_limit)}
    assert {row.decision for row in rows} == {0, 1}  # else the comparison of verdicts proves little


def test_boxes_are_where_the_defects_are_and_not_on_good_parts(trained: Trained, model: Model) -> None:
    found = results(model, trained.paths)
    for one, row, path in zip(found, trained.rows, trained.paths, strict=True):
        assert bool(one.boxes) == bool((one.map > one.map_limit).any())
        for x, y, width, height in one.boxes:
            assert 0 <= x < x + width <= 80
            assert 0 <= y < y + height <= 80
        if row.label and one.boxes:
            mask = np.asarray(Image.open(path.parents[2] / "ground_truth" / path.parent.name / f"{path.stem}_mask.png"))
            x, y, width, height = one.boxes[0]
            assert mask[y : y + height, x : x + width].any(), "the most anomalous place meets the defect"
    defective = [bool(one.boxes) for one, row in zip(found, trained.rows, strict=True) if row.label]
    good = [bool(one.boxes) for one, row in zip(found, trained.rows, strict=True) if not row.label]
    assert sum(defective) > len(defective) / 2
    assert sum(good) < len(good)


def test_what_is_said_of_an_image_does_not_depend_on_the_others(trained: Trained, model: Model) -> None:
    """Bit for bit, read ahead or not."""
    together = results(model, trained.paths)
    slowly = [one for one in model.score_many(trained.paths, ahead=False) if isinstance(one, Result)]
    for one, two, path in zip(together, slowly, trained.paths, strict=True):
        alone = model.score(path)
        assert alone.score == one.score == two.score
        assert alone.boxes == one.boxes == two.boxes
        np.testing.assert_array_equal(alone.map, one.map)
        np.testing.assert_array_equal(alone.map, two.map)


def test_images_are_taken_as_they_are_needed(trained: Trained, model: Model) -> None:
    taken: list[int] = []

    def endless() -> Iterator[Path]:
        for number in count():
            taken.append(number)
            yield trained.paths[0]

    few = model.score_many(endless())
    for _ in range(3):
        next(few)
    assert len(taken) <= 3 + 2 * DECODERS
    few.close()
    taken.clear()
    one_by_one = model.score_many(endless(), ahead=False)
    for number in range(1, 4):
        next(one_by_one)
        assert len(taken) == number, "a result does not wait for the next image"


def test_every_kind_of_image(trained: Trained, model: Model) -> None:
    path = trained.paths[0]
    with Image.open(path) as opened:
        opened.load()
    pixels = np.asarray(opened.convert("RGB"))
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 3  # shown upside down
    Image.fromarray(pixels[::-1, ::-1]).save(turned, "PNG", exif=exif)
    with path.open("rb") as file:
        given = [
            path, str(path), path.read_bytes(), bytearray(path.read_bytes()), pixels, pixels[:, ::-1][:, ::-1], opened,
            opened.convert("RGBA"), Image.open(turned), turned.getvalue(), io.BytesIO(path.read_bytes()), file,
            Stored("s3://b/x.png", path.read_bytes),
        ]  # fmt: skip
        found = [model.score(one, keep=True) for one in given]
    assert len({one.score for one in found}) == 1
    assert [one.name for one in found] == [str(path)] * 2 + [""] * 4 + [str(path)] + [""] * 4 + [
        str(path),
        "s3://b/x.png",
    ]
    assert opened.size == (80, 80)
    for one in found:
        assert one.photograph is not None
        np.testing.assert_array_equal(one.photograph, pixels)


def test_images_of_16_bits_are_scaled_by_the_white_of_the_training_images(trained: Trained, model: Model) -> None:
    eight = np.asarray(Image.open(trained.paths[0]).convert("RGB"))
    deep = png(eight.astype(np.uint16) * 16)
    assert model._reader.white is None
    with pytest.raises(VqiError, match="which value is white is not known: save it as the training images are"):
        model.score(deep)
    like_a_camera = copy(model)
    like_a_camera._reader = Reader(square(64), MAX_PIXELS, 255.0 * 16)
    found = like_a_camera.score(deep, keep=True)
    assert found.score == model.score(eight).score
    np.testing.assert_array_equal(found.photograph, eight)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8), np.uint8), r"expected uint8 (H, W, 3) RGB, got uint8 (8, 8)"),
        (np.zeros((8, 8, 4), np.uint8), r"expected uint8 (H, W, 3) RGB, got uint8 (8, 8, 4)"),
        (np.zeros((8, 8, 3)), r"expected uint8 (H, W, 3) RGB, got float64 (8, 8, 3)"),
        (np.zeros((0, 8, 3), np.uint8), r"expected uint8 (H, W, 3) RGB, got uint8 (0, 8, 3)"),
        (np.zeros((81, 80, 3), np.uint8), "too large: 80 x 81 = 6480 pixels, max_pixels is 6400"),
        (Image.new("RGB", (81, 80)), "too large: 81 x 80 = 6480 pixels, max_pixels is 6400"),
        (Image.new("F", (8, 8)), "deeper than 8 bits (mode F), and no training image is"),
        (7, "an image of type int: expected a path"),
        (b"", "an image without a name: the file is empty"),
        (b"text", "not an image of a known format"),
        (
            io.StringIO("text"),
            "an image without a name: expected a file that is open for reading bytes, got one of str",
        ),
        ("/nowhere/x.png", "cannot read /nowhere/x.png: No such file or directory: there is nothing of that name"),
    ],
)
def test_what_is_no_image(model: Model, image: Any, message: str) -> None:
    with pytest.raises(VqiError) as error:
        model.score(image)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_open_file_that_is_too_large_or_closed(model: Model) -> None:
    file = io.BytesIO(bytes(MAX_PIXELS * 16 + (64 << 20) + 1))
    with pytest.raises(VqiError, match="cannot read an image without a name: has more than 67,211,264 bytes"):
        model.score(file)
    file.close()
    with pytest.raises(VqiError, match="cannot read an image without a name: I/O operation on closed file"):
        model.score(file)


def test_compiled_at_the_first_call_alone(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[int] = []
    original = extraction.compile_network

    def counted(network: Any, example: Any, runtime: Any) -> Any:
        compiled.append(len(example))
        return original(network, example, runtime)

    monkeypatch.setattr(extraction, "compile_network", counted)
    loaded = Model(trained.uri)
    assert compiled == []
    for _ in range(3):
        loaded.score(trained.paths[0])
    assert compiled == [1], "and for one image, which is not filled up to a batch"


def test_several_threads(trained: Trained, model: Model) -> None:
    expected = [one.score for one in results(model, trained.paths)]
    got: dict[int, float] = {}

    def work(place: int) -> None:
        got[place] = model.score(trained.paths[place]).score

    workers = [threading.Thread(target=work, args=(place,)) for place in range(len(expected))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [got[place] for place in range(len(expected))] == expected


def test_another_kind_of_file_with_the_same_pixels(trained: Trained, model: Model, tmp_path: Path) -> None:
    with Image.open(trained.paths[0]) as image:
        image.convert("RGBA").save(tmp_path / "same.tiff")
    assert model.score(tmp_path / "same.tiff").score == model.score(trained.paths[0]).score


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n cut short"])
def test_unreadable_file(model: Model, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(VqiError, match=r"bad\.png") as error:
        model.score(tmp_path / "bad.png")
    assert "\n" not in str(error.value)


def test_an_odd_one_does_not_end_the_others(trained: Trained, model: Model) -> None:
    first, failed, passed_on, no_kind, last = model.score_many(
        [trained.paths[0], b"text", Failure("x", VqiError("why")), 7, trained.paths[1]]  # type: ignore[list-item]
    )
    assert isinstance(no_kind, Failure)
    assert isinstance(failed, Failure)
    assert str(failed.error).startswith("an image without a name: not an image of a known format")
    assert passed_on == Failure("x", passed_on.error)
    alone = results(model, trained.paths[:2])
    assert [one.score for one in (first, last) if isinstance(one, Result)] == [one.score for one in alone]


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_an_error_and_never_good(
    trained: Trained, model: Model, monkeypatch: pytest.MonkeyPatch, odd: float
) -> None:
    monkeypatch.setattr(type(model._detector), "anomaly_maps", lambda self, maps: np.full((1, 2, 2), odd))
    (found,) = model.score_many(trained.paths[:1])
    assert isinstance(found, Failure)
    assert found.name == str(trained.paths[0])
    with pytest.raises(VqiError, match="the score is not finite: train the model again"):
        model.score(trained.paths[0])


def test_files_that_do_not_belong_together(trained: Trained) -> None:
    loaded = Model(trained.uri)
    record = loaded._artifact.record.model_copy(update={"shapes": ((1, 2, 3), (4, 5, 6))})
    loaded._artifact = replace(loaded._artifact, record=record)
    with pytest.raises(VqiError, match="the model's files do not belong together"):
        loaded.score(trained.paths[0])


def test_nothing_to_score(model: Model) -> None:
    assert list(model.score_many([])) == []


def test_no_model_there(tmp_path: Path) -> None:
    with pytest.raises(VqiError, match="no model at"):
        Model(str(tmp_path))


def test_a_model_is_saved_and_loaded(trained: Trained, model: Model, tmp_path: Path) -> None:
    saved = model.save(tmp_path / "there" / "model")
    assert saved == tmp_path / "there" / "model"
    again = load(saved, model.runtime.engine)
    assert again.manifest == model.manifest.model_copy(update={"by_digest": ()}), "complete in itself"
    assert again.metrics.train_images == 10
    assert again.score(trained.paths[0]).score == model.score(trained.paths[0]).score
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").touch()
    for place in (saved, tmp_path / "mine", tmp_path / "mine" / "diary.txt"):
        with pytest.raises(VqiError, match="there is something already: name a new folder for the model"):
            model.save(place)
    assert (tmp_path / "mine" / "diary.txt").exists()
    with pytest.raises(VqiError, match="cannot save the model: /proc/x"):
        model.save("/proc/x")


def test_what_was_measured_by_another_version(trained: Trained, model: Model) -> None:
    odd = copy(model)
    odd._measured = b'{"category": "x"}'
    with pytest.raises(VqiError, match=r"metrics\.json: .*; evaluate the model again"):
        _ = odd.metrics


# --------------------------------------------------------------------------------------------------------- portability


def check_portable(trained: Trained, engine: str, precision: str) -> None:
    """Scores within the tolerance; decisions those of evaluate, except for scores that close to the threshold."""
    loaded = Model(trained.uri, engine, precision)
    tolerance = score_tolerance(loaded.manifest.made_with, loaded.runtime)
    found, decided = results(loaded, trained.paths), 0
    for one, row in zip(found, trained.rows, strict=True):
        assert one.score == pytest.approx(row.score, rel=tolerance)
        if abs(row.score / one.threshold - 1) > tolerance:
            assert one.flagged == bool(row.decision)
            decided += 1
    assert decided > len(found) / 2, "else the comparison of decisions says little"


@pytest.fixture(scope="module")
def made_with_ipex(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """In a process of its own: one that has used IPEX computes different bits from then on."""
    if not (engines.installed("ipex") and engines.supports("ipex", "bf16", engines.processor_flags())):
        pytest.skip("IPEX in bf16 needs its package and a processor with AVX-512")
    folder = tmp_path_factory.mktemp("ipex")
    code = "import sys, pathlib; from tests.vqi.models import test_model; "
    code += "test_model.make(pathlib.Path(sys.argv[1]), 'ipex', 'bf16')"
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Trained(folder)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("engine", ["openvino", "eager"])
def test_a_model_of_ipex_is_scored_by_another_engine(made_with_ipex: Trained, engine: str, precision: str) -> None:
    check_portable(made_with_ipex, engine, precision)


def test_where_the_engine_is_not_installed_another_one_scores_and_says_so_once(
    made_with_ipex: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed = engines.installed
    monkeypatch.setattr(engines, "installed", lambda name: name != "ipex" and installed(name))
    monkeypatch.setattr(engines, "processor_flags", lambda: frozenset({"avx2"}))
    loaded = Model(made_with_ipex.uri)
    for _ in range(2):
        loaded.score(made_with_ipex.paths[0])
    assert (loaded.runtime.engine, loaded.runtime.precision) == ("openvino", "fp32")
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "the model was made with ipex bf16 and scores with openvino fp32" in line] == said
    assert f"by {PRECISION_TOLERANCE:.0%}" in said[0]


def test_by_default_the_engine_that_made_it_scores_and_nothing_is_said(
    trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = Model(trained.uri)
    assert loaded.runtime.engine == loaded.manifest.made_with.engine
    assert capsys.readouterr().err == ""
    assert Model(trained.uri, "eager", "fp32").runtime.engine == "eager"
    with pytest.raises(VqiError, match="unknown engine 'eagre': did you mean 'eager'"):
        Model(trained.uri, "eagre")
