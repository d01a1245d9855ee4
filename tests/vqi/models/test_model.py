"""A published model gives new images the scores that evaluate gave them, on this machine and on another."""

import io
import os
import subprocess
import sys
import threading
from copy import copy
from dataclasses import dataclass, replace
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
from vqi.detectors.registry import fit_detector
from vqi.errors import VqiError
from vqi.evaluation import enlarge, evaluate
from vqi.models.inputs import Failure
from vqi.models.model import PRECISION_TOLERANCE, Model, Prediction, image_files, score_tolerance, write_overlays
from vqi.models.registry import publish
from vqi.network import extraction, runtime
from vqi.network.backbones import save_backbone
from vqi.network.building import build
from vqi.network.features import extract_splits
from vqi.preparation.images import prepare
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
    prepare(shard, folder / "images", "bracket", 64, 0.0, MAX_PIXELS, dataset=handle.uri)
    images = load_images(folder / "images")
    backbone = replace(build("tf_efficientnet_lite0", "pretrained", image_size=64), made=finetune_record())
    settings = FeatureExtract(
        layer='["blocks.2", "blocks.1"]', pool=2, batch_size=4, engine=engine, precision=precision
    )
    features = extract_splits(images, backbone, settings)
    detector = fit_detector(features, PcaFit(folds=5, target_fpr=0.2))
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


@pytest.fixture(scope="module", params=["eager", "auto"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make(tmp_path_factory.mktemp("model"), request.param)


@pytest.fixture(scope="module")
def model(trained: Trained) -> Model:
    return Model(trained.uri)


def test_scores_decisions_and_maps_are_those_of_evaluate(trained: Trained, model: Model) -> None:
    rows, maps = trained.rows, load_maps(trained.folder / "maps")
    predictions = model.predict(trained.paths)
    assert [p.name for p in predictions] == [str(path) for path in trained.paths]
    for prediction, row, small in zip(predictions, rows, maps, strict=True):
        assert prediction.score == pytest.approx(row.score, rel=1e-5)
        assert prediction.decision == row.decision
        assert 0 < prediction.p_value <= 1
        assert prediction.p_value == pytest.approx(row.p_value, abs=0.05)
        assert prediction.image.shape == (64, 64, 3)
        np.testing.assert_allclose(prediction.anomaly_map, enlarge(small, 64), rtol=1e-3, atol=1e-4)
    assert len({p.threshold for p in predictions}) == 1
    assert {row.decision for row in rows} == {0, 1}  # else the comparison of decisions proves little


def test_what_is_said_of_an_image_does_not_depend_on_the_others(trained: Trained, model: Model) -> None:
    """Bit for bit."""
    together = model.predict(trained.paths)
    for place in (0, 4):
        for count in (1, 2, 3):
            (alone, *_) = model.predict(trained.paths[place : place + count])
            assert alone.score == together[place].score
            np.testing.assert_array_equal(alone.anomaly_map, together[place].anomaly_map)


def test_every_kind_of_image(trained: Trained, model: Model) -> None:
    path = trained.paths[0]
    with Image.open(path) as opened:
        opened.load()
    pixels = np.asarray(opened.convert("RGB"))
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 3  # shown upside down
    Image.fromarray(pixels[::-1, ::-1]).save(turned, "PNG", exif=exif)
    given = [
        path, str(path), path.read_bytes(), bytearray(path.read_bytes()), pixels, pixels[:, ::-1][:, ::-1], opened,
        opened.convert("RGBA"), Image.open(turned), turned.getvalue(),
    ]  # fmt: skip
    predictions = model.predict(given)
    assert len({p.score for p in predictions}) == 1
    assert [p.name for p in predictions] == [str(path)] * 2 + [""] * 4 + [str(path)] + [""] * 3
    assert opened.size == (80, 80)


def test_images_of_16_bits_are_scaled_by_the_white_of_the_training_images(trained: Trained, model: Model) -> None:
    eight = np.asarray(Image.open(trained.paths[0]).convert("RGB"))
    deep = png(eight.astype(np.uint16) * 16)
    assert model.white is None
    with pytest.raises(VqiError, match="which value is white is not known: save it as the training images are"):
        model.predict([deep])
    like_a_camera = copy(model)
    like_a_camera.white = 255.0 * 16
    assert like_a_camera.predict([deep])[0].score == model.predict([eight])[0].score


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
        ("/nowhere/x.png", "cannot read /nowhere/x.png: No such file or directory: there is nothing of that name"),
    ],
)
def test_what_is_no_image(model: Model, image: Any, message: str) -> None:
    with pytest.raises(VqiError) as error:
        model.predict([image])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


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
        loaded.predict(trained.paths[:1])
    assert compiled == [1], "and for one image, which is not filled up to a batch"


def test_several_threads(trained: Trained, model: Model) -> None:
    expected = [p.score for p in model.predict(trained.paths)]
    got: dict[int, float] = {}

    def work(place: int) -> None:
        got[place] = model.predict([trained.paths[place]])[0].score

    workers = [threading.Thread(target=work, args=(place,)) for place in range(len(expected))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [got[place] for place in range(len(expected))] == expected


def test_another_kind_of_file_with_the_same_pixels(trained: Trained, model: Model, tmp_path: Path) -> None:
    with Image.open(trained.paths[0]) as image:
        image.convert("RGBA").save(tmp_path / "same.tiff")
    assert model.predict([tmp_path / "same.tiff"])[0].score == model.predict(trained.paths[:1])[0].score


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n cut short"])
def test_unreadable_file(model: Model, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(VqiError, match=r"bad\.png") as error:
        model.predict([tmp_path / "bad.png"])
    assert "\n" not in str(error.value)


def test_an_odd_one_does_not_end_the_others(trained: Trained, model: Model) -> None:
    first, failed, passed_on, last = model.each(
        [trained.paths[0], b"text", Failure("x", VqiError("why")), trained.paths[1]]
    )
    assert isinstance(failed, Failure)
    assert str(failed.error).startswith("an image without a name: not an image of a known format")
    assert passed_on == Failure("x", passed_on.error)
    alone = model.predict(trained.paths[:2])
    assert [one.score for one in (first, last) if isinstance(one, Prediction)] == [one.score for one in alone]


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_an_error_and_never_good(
    trained: Trained, model: Model, monkeypatch: pytest.MonkeyPatch, odd: float
) -> None:
    monkeypatch.setattr(type(model._detector), "anomaly_maps", lambda self, maps: np.full((1, 2, 2), odd))
    (found,) = model.each(trained.paths[:1])
    assert isinstance(found, Failure)
    with pytest.raises(VqiError, match="the score is not finite: train the model again"):
        model.predict(trained.paths[:1])


def test_files_that_do_not_belong_together(trained: Trained) -> None:
    loaded = Model(trained.uri)
    loaded._shapes = ((1, 2, 3), (4, 5, 6))
    with pytest.raises(VqiError, match="the model's files do not belong together"):
        loaded.predict(trained.paths[:1])


def test_nothing_to_predict(model: Model) -> None:
    assert model.predict([]) == []


def test_no_model_there(tmp_path: Path) -> None:
    with pytest.raises(VqiError, match="no model at"):
        Model(str(tmp_path))


def test_overlays(trained: Trained, model: Model, tmp_path: Path) -> None:
    images = image_files([trained.folder / "parts" / "bracket" / "test"])
    write_overlays(tmp_path / "maps", model.predict([*images, images[0].read_bytes()]))
    written = sorted((tmp_path / "maps").iterdir())
    names = [f"-{path.stem}" for path in images]  # same names stay apart
    assert [path.stem.lstrip("0123456789") for path in written[:-1]] == names
    assert written[-1].name == f"{len(images) + 1}.png", "one without a name has its number"
    with Image.open(written[0]) as overlay, Image.open(images[0]) as image:
        assert overlay.size == (64, 64)
        assert overlay.tobytes() != image.resize((64, 64)).tobytes()


# --------------------------------------------------------------------------------------------------------- portability


def check_portable(trained: Trained, engine: str, precision: str) -> None:
    """Scores within the tolerance; decisions those of evaluate, except for scores that close to the threshold."""
    loaded = Model(trained.uri, engine, precision)
    tolerance = score_tolerance(loaded.manifest.made_with, loaded.runtime)
    predictions, decided = loaded.predict(trained.paths), 0
    for prediction, row in zip(predictions, trained.rows, strict=True):
        assert prediction.score == pytest.approx(row.score, rel=tolerance)
        if abs(row.score / prediction.threshold - 1) > tolerance:
            assert prediction.decision == row.decision
            decided += 1
    assert decided > len(predictions) / 2, "else the comparison of decisions says little"


@pytest.fixture(scope="module")
def made_with_ipex(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """In a process of its own: one that has used IPEX computes different bits from then on."""
    if not (runtime._installed("ipex") and runtime.supports("ipex", "bf16", runtime.processor_flags())):
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
    installed = runtime._installed
    monkeypatch.setattr(runtime, "_installed", lambda name: name != "ipex" and installed(name))
    monkeypatch.setattr(runtime, "processor_flags", lambda: frozenset({"avx2"}))
    loaded = Model(made_with_ipex.uri)
    for _ in range(2):
        loaded.predict(made_with_ipex.paths[:1])
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


# ------------------------------------------------------------------------------------------------------------- files


def test_folders_are_searched_to_the_bottom(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/deep/1.JPG", "b/notes.txt", "a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = image_files([tmp_path / "b", tmp_path / "a.png"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["b/2.png", "b/deep/1.JPG", "a.png"]
    assert image_files([tmp_path / "b" / "notes.txt"])  # a file that is named is tried


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(VqiError, match="gone: no such file or folder"):
        image_files([tmp_path / "gone"])
    with pytest.raises(VqiError, match=r"expected image files \(.*png.*\), got none"):
        image_files([tmp_path])
