"""An exported ONNX file, run by ONNX Runtime alone, says of photographs what the library says of them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from torch import nn

import vqi
from tests.conftest import write_defect_dataset
from tests.vqi.export.test_graphs import SHAPES, maps
from tests.vqi.made import detector_artifact
from vqi.config import PcaFit
from vqi.detectors.registry import DETECTORS
from vqi.errors import VqiError
from vqi.export import onnx_file, writing
from vqi.export.graphs import Judge, Verdict, graph_of
from vqi.export.parity import BOUNDS, made_up
from vqi.sizes import Size
from vqi_pipelines.commands.group import vqi as vqi_command

SIZE = 64
EXACT = BOUNDS["fp32"]

# A program of a user who has ONNX Runtime and nothing else: vqi, torch, OpenVINO and onnx cannot be imported.
ALONE = """
import json, sys
sys.modules.update(vqi=None, torch=None, openvino=None, onnx=None, onnxscript=None)
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx", providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
for path in sys.argv[2:]:
    found = dict(zip(names, session.run(names, {"image": numpy.load(path)[None]})))
    print(json.dumps({name: value.tolist() for name, value in found.items()}))
"""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    return write_defect_dataset(folder, ["bracket"], train=10, good=2, defective=2, size=80) / "bracket"


@pytest.fixture(scope="module")
def model(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    fitted = vqi.fit(
        sorted((parts / "train" / "good").iterdir()), target_fpr=0.2, detector="ensemble", image_size=SIZE,
        layer='["blocks.2", "blocks.1"]', pool=2, folds=3, engine="openvino", precision="fp32",
    )  # fmt: skip
    return fitted.save(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def folder(model: Path, parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("exported") / "file"
    arguments = ["export", str(model), "--to", "onnx", "-o", str(made), "--check", str(parts / "test")]
    result = CliRunner().invoke(vqi_command, arguments)
    assert result.exit_code == 0, result.output
    assert f"{made}/model.onnx: compared on 16 photographs" in result.output
    assert [path.name for path in made.iterdir()] == ["model.onnx"]
    return made


def run_alone(folder: Path, photographs: list[np.ndarray], scratch: Path) -> Iterator[dict[str, list[float]]]:
    paths = [scratch / f"{number}.npy" for number in range(len(photographs))]
    for path, pixels in zip(paths, photographs, strict=True):
        np.save(path, pixels)
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(folder), *map(str, paths)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return map(json.loads, done.stdout.splitlines())


def test_onnx_runtime_alone_gives_the_results_of_the_library(
    model: Path, folder: Path, parts: Path, tmp_path: Path
) -> None:
    library = vqi.load(model)
    results = [
        library.score(one, keep=True) for one in [*made_up(Size(SIZE, SIZE)), *sorted((parts / "test").rglob("*.png"))]
    ]
    photographs = [one.photograph for one in results if one.photograph is not None]
    for result, found in zip(results, run_alone(folder, photographs, tmp_path), strict=True):
        assert found["score"] == pytest.approx([result.score], rel=EXACT)
        assert found["anomalous"] == [result.flagged]
        assert found["p_value"] == pytest.approx([result.p_value], abs=1e-6)
        np.testing.assert_allclose(found["anomaly_map"][0], result.map, atol=4 * EXACT * result.map.max())
    assert {one.flagged for one in results} == {True, False}  # else the comparison says little


def test_vqi_scores_with_the_file_as_with_the_model(model: Path, folder: Path, parts: Path) -> None:
    library, file = vqi.load(model), vqi.load(folder)
    assert isinstance(library, vqi.Model)
    assert isinstance(file, vqi.ExportedModel)
    assert (file.threshold, file.map_limit, file.version) == (library.threshold, library.map_limit, library.version)
    assert file.record.digest == library.manifest.digest
    photographs = [*made_up(Size(SIZE, SIZE)), *sorted((parts / "test").rglob("*.png"))]
    for expected, found in zip(library.score_many(photographs), file.score_many(photographs), strict=True):
        assert isinstance(expected, vqi.Result)
        assert isinstance(found, vqi.Result)
        assert (found.flagged, found.width, found.height) == (expected.flagged, expected.width, expected.height)
        assert found.score == pytest.approx(expected.score, rel=EXACT)
        assert found.p_value == pytest.approx(expected.p_value, abs=1e-6)
        assert len(found.boxes) == len(expected.boxes)


def test_what_it_says_of_itself(model: Path, folder: Path) -> None:
    file = onnx.load(folder / "model.onnx")
    assert [(one.domain, one.version) for one in file.opset_import] == [("", 18)]
    (given,) = onnxruntime.InferenceSession(folder / "model.onnx").get_inputs()
    assert (given.name, given.type, given.shape) == ("image", "tensor(uint8)", [1, "H", "W", 3])
    said = {one.key: one.value for one in file.metadata_props}
    library = vqi.load(model)
    assert (said["vqi format"], said["vqi digest"]) == ("vqi.onnx/1", library.manifest.digest)
    assert float(said["model_info image_threshold"]) == float(said["vqi threshold"]) == library.threshold
    assert onnx.checker.check_model(file, full_check=True) is None


class Fixed(nn.Module):
    """A network whose maps have the shapes of the made-up ones: they are those, and a little of the photograph."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [torch.tensor(one) for one in maps(1, 1).layers]

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(one + batch.float().mean() / 255 for one in self.layers)


@pytest.mark.parametrize("kind", DETECTORS)
def test_each_detector(kind: str, tmp_path: Path) -> None:
    detector = DETECTORS[kind].fit(maps(12, 0), PcaFit(kind=kind, variance=0.8, channels=4)).detector
    judge = Judge(graph_of(detector, SHAPES), Verdict(detector_artifact(), 6)).eval()
    run = onnx_file.written(Fixed(), judge, Size(8, 8), tmp_path / "model.onnx", "fp32", {})
    for level in (0, 200):
        pixels = np.full((1, 20, 10, 3), level, np.uint8)
        with torch.inference_mode():
            expected = judge(*Fixed()(torch.tensor(pixels)))
        for name, value in zip(("score", "anomalous", "p_value", "anomaly_map"), expected, strict=True):
            np.testing.assert_allclose(run(pixels)[name], value.numpy(), rtol=1e-5, err_msg=name)


def test_a_network_that_onnx_does_not_know_is_said_in_one_line(tmp_path: Path) -> None:
    class Odd(Fixed):
        def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
            if batch.float().mean() > 3:  # of the data: no graph has that
                return super().forward(batch)
            return super().forward(batch + 1)

    with pytest.raises(VqiError, match=r"the network cannot be exported to ONNX \(.*\): train with another backbone"):
        onnx_file.whole_model(Odd(), nn.Identity(), Size(8, 8))


def test_only_fp32(model: Path, tmp_path: Path) -> None:
    with pytest.raises(VqiError, match="precision 'bf16' of an ONNX file: expected 'fp32'"):
        writing.export(model, tmp_path / "file", "onnx", "bf16")
