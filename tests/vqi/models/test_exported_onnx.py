"""An exported ONNX file is scored by ONNX Runtime alone; what is not one is refused in one line. It is made up."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.vqi.made_export import SIZE, write, write_onnx
from vqi.errors import VqiError
from vqi.models.exported import ExportedModel, record_at
from vqi.models.loading import exported_at, load
from vqi.serving.finding import current_at, places_of


def painted(value: int, width: int = 12, height: int = 20) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_onnx(tmp_path / "file")


def test_a_result_is_what_the_file_computes(file: Path) -> None:
    model = load(file)
    assert isinstance(model, ExportedModel)
    assert (model.threshold, model.map_limit, model.version, model.record.category) == (100, 150, 3, "bracket")
    found = model.score(painted(160))
    assert (found.score, found.flagged, found.p_value, found.version) == (160, True, 0.25, 3)
    assert found.map.tolist() == [[160] * SIZE] * SIZE, "vqi resized the photograph"
    assert [tuple(box) for box in found.boxes] == [(0, 0, 12, 20)]


def test_it_is_found_by_its_folder_and_served_by_its_category(file: Path) -> None:
    assert {exported_at(str(one)) for one in (file, file.parent, f"{file.parent}/")} == {str(file)}
    assert record_at(str(file)).category == "bracket"
    assert places_of([str(file.parent)]) == {"bracket": str(file)}
    assert current_at(str(file)) == str(file)
    other = file.rename(file.with_name("bracket.onnx"))
    assert load(other).score(painted(7)).score == 7


@pytest.mark.parametrize(
    ("engine", "precision", "message"),
    [
        ("openvino", "auto", "an exported file has its engine in it, onnxruntime, got engine 'openvino': leave it out"),
        ("auto", "bf16", "an exported file has its precision in it, fp32, got precision 'bf16': leave it out"),
    ],
)
def test_what_is_in_the_file_cannot_be_chosen(file: Path, engine: str, precision: str, message: str) -> None:
    with pytest.raises(VqiError, match=message):
        load(file, engine, precision)


def test_an_older_format_a_foreign_file_and_a_damaged_one_are_told_apart(file: Path, tmp_path: Path) -> None:
    again = "export the model again with this version of vqi"
    changed = onnx.load(file)
    for one in changed.metadata_props:
        one.value = one.value.replace("vqi.onnx/1", "vqi.onnx/0")
    onnx.save(changed, file)
    with pytest.raises(VqiError, match=rf"format: expected 'vqi.onnx/1', got 'vqi.onnx/0': {again}"):
        load(file)
    del changed.metadata_props[:]
    onnx.save(changed, file)
    with pytest.raises(VqiError, match=r"model\.onnx: not a file that `vqi export` wrote"):
        load(file)
    with pytest.raises(VqiError, match=rf"format: expected 'vqi.onnx/1', got 'vqi.openvino/2': {again}"):
        load(write_onnx(tmp_path / "other", format="vqi.openvino/2"))
    for content in (b"", b"no model", write(tmp_path / "xml").read_bytes()):
        file.write_bytes(content)
        with pytest.raises(VqiError, match=rf"model\.onnx: ONNX Runtime cannot read it .*{again}"):
            load(file)
