"""An exported file is scored by OpenVINO alone; what is not one, or not whole, is refused in one line.

The file is made up: its score is the mean of the pixels.
"""

import threading
from pathlib import Path
from uuid import uuid4

import numpy as np
import openvino
import pytest
from PIL import Image

from tests.vqi.made_export import SIZE, network, write
from tests.vqi.photographs.written import png
from vqi.errors import VqiError
from vqi.models.exported import ExportedModel
from vqi.models.loading import exported_at, load
from vqi.models.reading import Failure
from vqi.store.opening import open_store


def painted(value: int, width: int = 12, height: int = 20) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "file")


def test_a_result_is_what_the_file_computes(file: Path, tmp_path: Path) -> None:
    model = load(file)
    assert isinstance(model, ExportedModel)
    assert (model.threshold, model.map_limit, model.version, model.record.category) == (100, 150, 3, "bracket")
    Image.fromarray(painted(160)).save(tmp_path / "a.png")
    found = model.score(tmp_path / "a.png", keep=True)
    assert (found.score, found.flagged, found.p_value, found.version) == (160, True, 0.25, 3)
    assert (found.width, found.height, found.name) == (12, 20, str(tmp_path / "a.png"))
    assert found.map.tolist() == [[160] * SIZE] * SIZE
    assert [tuple(box) for box in found.boxes] == [(0, 0, 12, 20)]
    assert found.photograph is not None
    assert found.photograph.shape == (20, 12, 3)
    good = model.score(painted(50))
    assert (good.score, good.flagged, good.boxes) == (50, False, ())


def test_it_is_found_by_its_folder_and_its_uri(file: Path) -> None:
    found = {exported_at(str(one)) for one in (file, file.parent, f"{file.parent}/")}
    assert found == {str(file)}
    assert exported_at(f"file://{file.parent}") == f"file://{file}"
    assert load(f"file://{file.parent}").score(painted(7)).score == 7


def test_a_name_does_not_decide(tmp_path: Path) -> None:
    assert exported_at(str(tmp_path / "none.xml")) is None
    category = tmp_path / "bracket.xml"
    write(category)
    assert exported_at(str(category)) == f"{category}/model.xml"
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "manifest.json").touch()
    assert exported_at(str(tmp_path)) is None
    assert exported_at("") is None


def test_another_name_takes_its_weights_along(file: Path, tmp_path: Path) -> None:
    for ending in (".xml", ".bin"):
        file.with_suffix(ending).rename(tmp_path / f"bracket{ending}")
    assert load(tmp_path / "bracket.xml").score(painted(9)).score == 9


def test_photographs_are_read_as_the_model_read_them(tmp_path: Path) -> None:
    """White of deep ones, and the largest that is decoded, are in the file."""
    deep = png(np.full((SIZE, SIZE, 1), 2048, np.uint16))
    assert load(write(tmp_path / "deep", white=4096.0)).score(deep).score == pytest.approx(127.5, abs=1)
    with pytest.raises(VqiError, match="deeper than 8 bits"):
        load(write(tmp_path / "flat")).score(deep)
    with pytest.raises(VqiError, match=r"pixels"):
        load(write(tmp_path / "small", max_pixels=100)).score(painted(1))


def test_many_photographs_and_threads(file: Path) -> None:
    model = load(file)
    values = list(range(0, 200, 3))
    given = [painted(value) if value % 2 else b"no image" for value in values]
    for value, one in zip(values, model.score_many(given), strict=True):
        assert isinstance(one, Failure) if value % 2 == 0 else not isinstance(one, Failure) and one.score == value
    wrong: list[int] = []

    def check(value: int) -> None:
        wrong.extend(value for _ in range(50) if model.score(painted(value)).score != value)

    threads = [threading.Thread(target=check, args=[value]) for value in (3, 50, 200)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert wrong == []


def test_a_score_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    model = load(write(tmp_path / "file"))
    assert isinstance(model, ExportedModel)

    class File:
        def infer(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
            one = np.ones(1, np.float32)
            return {"score": one, "anomalous": one > 0, "p_value": one, "anomaly_map": np.full((1, 2, 2), np.nan)}

    model._file = File()
    with pytest.raises(VqiError, match="the score is not finite"):
        model.score(painted(1))


@pytest.mark.parametrize(
    ("engine", "precision", "message"),
    [
        ("eager", "auto", "an exported file has its engine in it, openvino, got engine 'eager': leave it out"),
        ("openvino", "bf16", "an exported file has its precision in it, fp32, got precision 'bf16': leave it out"),
    ],
)
def test_what_is_in_the_file_cannot_be_chosen(file: Path, engine: str, precision: str, message: str) -> None:
    assert load(file, "openvino", "fp32").score(painted(5)).score == 5
    with pytest.raises(VqiError, match=message):
        load(file, engine, precision)


def changed(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_an_older_format_a_foreign_file_and_a_damaged_one_are_told_apart(file: Path, tmp_path: Path) -> None:
    again = "export the model again with this version of vqi"
    changed(file, "vqi.openvino/2", "vqi.openvino/1")
    with pytest.raises(VqiError, match=rf"format: expected 'vqi.openvino/2', got 'vqi.openvino/1': {again}"):
        load(file)
    write(file.parent)
    changed(file, '<threshold value="100.0"', '<threshold value="high"')
    with pytest.raises(VqiError, match=rf"threshold: Input should be a valid number.*got 'high'; {again}"):
        load(file)
    openvino.save_model(network(), tmp_path / "foreign.xml", compress_to_fp16=False)
    with pytest.raises(VqiError, match=r"foreign\.xml: not a file that `vqi export` wrote"):
        load(tmp_path / "foreign.xml")
    for text in ("", "<net>", "<html></html>"):
        file.write_text(text)
        with pytest.raises(VqiError, match=rf"model\.xml: OpenVINO cannot read it .*{again}"):
            load(file)


def test_weights_of_another_file_are_refused(file: Path, tmp_path: Path) -> None:
    weights = file.with_suffix(".bin")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(VqiError, match=r"model\.bin: not the file that was written with .*model\.xml"):
        load(file)
    weights.unlink()
    with pytest.raises(VqiError, match=r"model\.bin"):
        load(file)


def test_a_file_without_the_place_of_the_resized_photograph(file: Path) -> None:
    changed(file, 'name="resized"', 'name="other"')
    with pytest.raises(VqiError, match="expected one operation 'resized', got 0"):
        load(file)


def test_it_may_be_in_an_object_store(file: Path, s3_environment: object) -> None:
    store = open_store(f"s3://exported/{uuid4().hex}")
    for ending in (".xml", ".bin"):
        store.put_file(f"bracket/model{ending}", file.with_suffix(ending))
    for place in ("bracket", "bracket/model.xml"):
        assert load(store.uri_of(place)).score(painted(11)).score == 11
