"""An exported file, run by OpenVINO alone, says of photographs what the library says of them."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import vqi
from tests.conftest import write_defect_dataset
from vqi.datasets import elpv
from vqi.detectors.registry import DETECTORS
from vqi.errors import VqiError
from vqi.export import saving, writing
from vqi.export.graphs import Verdict
from vqi.export.parity import BOUNDS, made_up
from vqi.export.resizing import resizing
from vqi.models.exported_record import SECTION
from vqi.models.model import ENGINE_TOLERANCE
from vqi.sizes import Size
from vqi_pipelines.commands import export as command
from vqi_pipelines.commands.group import vqi as vqi_command

SIZE = 64
EXACT = BOUNDS["fp32"]

# A program of a user who has OpenVINO and nothing else: vqi and torch cannot be imported.
ALONE = """
import json, sys
sys.modules.update(vqi=None, torch=None)
import numpy, openvino
model = openvino.Core().compile_model(sys.argv[1] + "/model.xml", "CPU")
for path in sys.argv[2:]:
    found = model(numpy.load(path)[None])
    print(json.dumps({name: found[name].tolist() for name in ("score", "anomalous", "p_value", "anomaly_map")}))
assert not any(name.partition(".")[0] in ("vqi", "torch") and module for name, module in sys.modules.items())
"""


@dataclass(frozen=True)
class Exported:
    library: vqi.Model
    folder: Path
    said: str


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    return write_defect_dataset(folder, ["bracket"], train=10, good=2, defective=2, size=80) / "bracket"


def trained(parts: Path, folder: Path, kind: str) -> Path:
    model = vqi.fit(
        sorted((parts / "train" / "good").iterdir()), target_fpr=0.2, detector=kind, image_size=SIZE,
        layer='["blocks.2", "blocks.1"]', pool=2, folds=3, engine="openvino", precision="fp32",
    )  # fmt: skip
    return model.save(folder)


@pytest.fixture(scope="module", params=sorted(DETECTORS))
def exported(parts: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Exported:
    folder = tmp_path_factory.mktemp(request.param)
    model = trained(parts, folder / "model", request.param)
    arguments = ["export", str(model), "--to", "openvino", "-o", str(folder / "file"), "--check", str(parts / "test")]
    result = CliRunner().invoke(vqi_command, arguments)
    assert result.exit_code == 0, result.output
    library = vqi.load(model)  # once, because it compiles its network at the first photograph
    assert isinstance(library, vqi.Model)
    return Exported(library, folder / "file", result.output)


@pytest.fixture(scope="module")
def model(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(parts, tmp_path_factory.mktemp("model") / "model", "pca")


def run_alone(folder: Path, photographs: list[np.ndarray], scratch: Path) -> list[dict[str, Any]]:
    paths = [scratch / f"{number}.npy" for number in range(len(photographs))]
    for path, pixels in zip(paths, photographs, strict=True):
        np.save(path, pixels)
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(folder), *map(str, paths)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_openvino_alone_gives_the_results_of_the_library(exported: Exported, parts: Path, tmp_path: Path) -> None:
    library = exported.library
    results = [
        library.score(one, keep=True) for one in [*made_up(Size(SIZE, SIZE)), *sorted((parts / "test").rglob("*.png"))]
    ]
    photographs = [one.photograph for one in results if one.photograph is not None]
    for result, found in zip(results, run_alone(exported.folder, photographs, tmp_path), strict=True):
        assert found["score"] == pytest.approx([result.score], rel=EXACT)
        assert found["anomalous"] == [result.flagged]
        assert found["p_value"] == pytest.approx([result.p_value], abs=1e-6)
        np.testing.assert_allclose(found["anomaly_map"][0], result.map, atol=4 * EXACT * result.map.max())
    assert {one.flagged for one in results} == {True, False}  # else the comparison says little


def real_cells() -> list[bytes]:
    """Photographs of solar cells, 300 x 300 pixels, as files."""
    entries = elpv.split(elpv.read_labels(elpv.locate()), "mono")
    return [one.read() for one in entries if one.path.startswith("test/")][::60]


def test_vqi_scores_with_the_file_as_with_the_model(exported: Exported, parts: Path) -> None:
    library, file = exported.library, vqi.load(exported.folder)
    assert isinstance(file, vqi.ExportedModel)
    assert (file.threshold, file.map_limit, file.version) == (library.threshold, library.map_limit, library.version)
    assert file.record.digest == library.manifest.digest
    photographs = [*made_up(Size(SIZE, SIZE)), *sorted((parts / "test").rglob("*.png")), *real_cells()]
    flagged = set()
    for expected, found in zip(library.score_many(photographs), file.score_many(photographs), strict=True):
        assert isinstance(expected, vqi.Result)
        assert isinstance(found, vqi.Result)
        for name in ("threshold", "flagged", "version", "name", "width", "height", "map_limit"):
            assert getattr(found, name) == getattr(expected, name), name
        assert found.score == pytest.approx(expected.score, rel=EXACT)
        assert found.p_value == pytest.approx(expected.p_value, abs=1e-6)
        np.testing.assert_allclose(found.map, expected.map, atol=4 * EXACT * expected.map.max())
        assert len(found.boxes) == len(expected.boxes)
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=np.ceil(expected.width / 9))
        flagged.add(found.flagged)
    assert flagged == {True, False}


# The command of a user who has no torch.
PREDICT = """
import sys
sys.modules.update(torch=None, torchvision=None, timm=None, intel_extension_for_pytorch=None)
from vqi_pipelines.commands.group import vqi
try:
    vqi()
finally:
    loaded = {name.partition(".")[0] for name, module in sys.modules.items() if module}
    assert "openvino" in loaded and not loaded & {"torch", "torchvision", "timm", "intel_extension_for_pytorch"}
"""


def test_the_command_predicts_without_torch(exported: Exported, parts: Path, tmp_path: Path) -> None:
    expected = {one.name: one for one in exported.library.score_many(sorted((parts / "test").rglob("*.png")))}
    arguments = [str(exported.folder / "model.xml"), str(parts / "test"), "--maps", "maps", "--format", "jsonl"]
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, "predict", *arguments], capture_output=True, text=True, cwd=tmp_path
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["path"] for row in rows] == list(expected)
    for row in rows:
        one = expected[row["path"]]
        assert isinstance(one, vqi.Result)
        assert row["score"] == pytest.approx(one.score, rel=EXACT)
        assert (row["threshold"], bool(row["decision"]), row["error"]) == (one.threshold, one.flagged, None)
        assert (tmp_path / row["map"]).is_file()


def test_it_says_how_it_was_compared_and_what_it_is(exported: Exported) -> None:
    import openvino

    assert "compared on 16 photographs" in exported.said
    assert sorted(path.name for path in exported.folder.iterdir()) == ["model.bin", "model.xml"]
    file = openvino.Core().read_model(exported.folder / "model.xml")
    library = exported.library
    assert file.input("image").get_partial_shape().to_string() == "[1,?,?,3]"
    assert file.get_rt_info(["model_info", "model_type"]).astype(str) == "AnomalyDetection"
    assert float(file.get_rt_info(["model_info", "image_threshold"]).astype(str)) == library.threshold
    assert file.get_rt_info(["vqi", "digest"]).astype(str) == library.manifest.digest
    assert file.get_rt_info(["vqi", "precision"]).astype(str) == "fp32"


def test_nothing_of_an_fp32_file_is_computed_in_less(exported: Exported) -> None:
    assert less_precise(exported.folder) == []


@pytest.mark.parametrize("size", [(64, 64), (96, 32), (40, 120)])
def test_nothing_of_a_resize_is_computed_in_less(size: tuple[int, int], tmp_path: Path) -> None:
    saving.save(resizing(Size(*size)), tmp_path / "model.xml", "fp32", {SECTION: {"format": "none"}})
    assert less_precise(tmp_path) == []


def less_precise(folder: Path) -> list[str]:
    import openvino

    compiled = openvino.Core().compile_model(folder / "model.xml", "CPU")
    operations = compiled.get_runtime_model().get_ordered_ops()
    return [
        one.get_friendly_name()
        for one in operations
        if one.get_rt_info()["runtimePrecision"].astype(str) in ("bf16", "f16")
    ]


def test_a_bf16_file_has_only_its_network_in_bf16(model: Path, tmp_path: Path) -> None:
    found = writing.export(model, tmp_path / "file", precision="bf16")
    assert max(found.exact, found.resized) <= ENGINE_TOLERANCE
    assert not any("aten.topk" in name for name in less_precise(tmp_path / "file"))


@pytest.mark.parametrize("to", writing.FORMATS)
def test_a_file_that_scores_otherwise_is_not_written(
    to: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Verdict.forward

    def wrong(self: Verdict, anomaly_map: torch.Tensor) -> tuple[torch.Tensor, ...]:
        score, *rest = right(self, anomaly_map)
        return (score * 1.001, *rest)

    monkeypatch.setattr(Verdict, "forward", wrong)
    with pytest.raises(VqiError, match=r"does not score as the library does.*0\.001 apart, allowed 0\.0001"):
        writing.export(model, tmp_path / "file", to)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_alone(model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(VqiError, match="there is something already"):
        writing.export(model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "onxx"}, "unknown format 'onxx': did you mean 'onnx'"),
        ({"precision": "int4"}, "unknown precision 'int4': did you mean 'int8'"),
        ({"check": "empty"}, "expected photographs to compare on"),
        ({"model": "file.xml"}, r"file\.xml: exported already: name the model that it was made of"),
    ],
)
def test_what_cannot_be_done_is_said_first(model: Path, tmp_path: Path, options: dict[str, str], message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.xml").touch()
    paths = ("check", "model")
    known: dict[str, Any] = {name: tmp_path / value if name in paths else value for name, value in options.items()}
    with pytest.raises(VqiError, match=message):
        writing.export(**{"model": model, "folder": tmp_path / "file"} | known)
    assert not (tmp_path / "file").exists()


def test_a_folder_that_cannot_be_made_is_named(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VqiError, match=r"cannot export the model: .*file"):
        writing.export(model, tmp_path / "file" / "below")


def test_the_command_knows_what_the_library_knows() -> None:
    assert (command.FORMATS, command.PRECISIONS) == (writing.FORMATS, writing.PRECISIONS)
    assert {*BOUNDS, "int8"} == set(writing.PRECISIONS)
