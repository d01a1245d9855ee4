"""An exported file in int8, quantised on good photographs, decides as the library does in fp32."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from click.testing import CliRunner
from PIL import Image

import vqi
from tests.cells import copy_elpv
from tests.vqi.export.test_writing import run_alone
from vqi.artifacts.detector import DetectorArtifact
from vqi.errors import VqiError
from vqi.export import quantizing, writing
from vqi.export.parity import INT8_NOISE, INT8_SHIFT, Int8Parity, compare_int8
from vqi.models.reading import Reader
from vqi.models.result import Result
from vqi.sizes import Size
from vqi_pipelines.commands.group import vqi as vqi_command

SIZE = 96


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    copy_elpv(folder, ["mono"], train=40, good=28, defective=3)
    return folder / "mono"


@pytest.fixture(scope="module")
def model(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    fitted = vqi.fit(
        sorted((parts / "train" / "good").iterdir()), target_fpr=0.2, image_size=SIZE,
        layer='["blocks.3", "blocks.2"]', pool=1, folds=3, engine="openvino", precision="fp32",
    )  # fmt: skip
    return fitted.save(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def library(model: Path) -> vqi.Model:
    """Loaded once, because it compiles its network at the first photograph."""
    loaded = vqi.load(model)
    assert isinstance(loaded, vqi.Model)
    return loaded


@pytest.fixture(scope="module")
def good(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good photographs that the model was not trained on, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("good")
    for path in (parts / "test" / "good").iterdir():
        (folder / path.name).symlink_to(path)
    (folder / "000-damaged.png").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def exported(model: Path, good: Path, parts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder, and what the command said."""
    folder = tmp_path_factory.mktemp("exported") / "file"
    arguments = ["export", str(model), "--to", "openvino", "--precision", "int8", "-o", str(folder)]
    result = CliRunner().invoke(
        vqi_command, [*arguments, "--calibrate", str(good), "--check", str(parts / "test" / "defective")]
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1  # NNCF says nothing
    return folder, result.output


def test_openvino_alone_computes_the_network_in_int8_and_what_comes_after_it_in_float32(
    exported: tuple[Path, str], library: vqi.Model, parts: Path, tmp_path: Path
) -> None:
    folder, _ = exported
    read = openvino.Core().read_model(folder / "model.xml")
    quantised = [one for one in read.get_ops() if one.get_type_name() == "FakeQuantize"]
    assert quantised
    assert all(one.get_friendly_name().startswith("network/") for one in quantised)
    compiled = openvino.Core().compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    types = [
        one.get_rt_info()["runtimePrecision"].astype(str)
        for one in compiled.get_runtime_model().get_ordered_ops()
        if one.get_rt_info()["layerType"].astype(str) == "Convolution"
    ]
    assert types.count("f32") <= 3  # the first ones
    assert sum(one in ("u8", "i8") for one in types) >= 10
    photographs = sorted((parts / "test").rglob("*.png"))[:8]
    results = list(library.score_many(photographs, keep=True))
    pixels = [np.asarray(Image.open(one).convert("RGB")) for one in photographs]
    decisions = set()
    for result, found in zip(results, run_alone(folder, pixels, tmp_path), strict=True):
        assert isinstance(result, Result)
        assert found["anomalous"] == [result.flagged]
        decisions.add(result.flagged)
    assert decisions == {True, False}


def test_vqi_scores_with_the_file(exported: tuple[Path, str], parts: Path) -> None:
    file = vqi.load(exported[0])
    assert isinstance(file, vqi.ExportedModel)
    assert file.record.precision == "int8"
    assert not file.score(next((parts / "test" / "good").iterdir())).flagged


def test_it_says_how_it_was_compared_and_what_was_left_out(exported: tuple[Path, str]) -> None:
    folder, said = exported
    assert "000-damaged.png" in said
    assert f"{folder}/model.xml: compared with fp32 on 20 photographs; scores of the 7 good ones" in said  # 10 made up
    assert sorted(path.name for path in folder.iterdir()) == ["model.bin", "model.xml"]


def test_the_same_photographs_give_the_same_weights(
    exported: tuple[Path, str], model: Path, good: Path, tmp_path: Path
) -> None:
    writing.export(model, tmp_path / "file", precision="int8", calibrate=[str(good)])
    assert (tmp_path / "file" / "model.bin").read_bytes() == (exported[0] / "model.bin").read_bytes()


def test_a_file_that_is_too_far_from_fp32_is_not_written(
    model: Path, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantizing, "_FIRST", 0)
    right = quantizing.good_photographs

    def dark(names: Any, reader: Reader) -> quantizing.Good:
        found = right(names, reader)
        return found._replace(pixels=[one // 16 for one in found.pixels])

    monkeypatch.setattr(writing, "good_photographs", dark)  # so that the ranges are too narrow
    with pytest.raises(VqiError, match=r"int8 does not (score|decide) as the library does in fp32, and is not written"):
        writing.export(model, tmp_path / "file", precision="int8", calibrate=[str(good)])
    assert list(tmp_path.iterdir()) == []


def artifact_and_result(library: vqi.Model, photograph: Path) -> tuple[DetectorArtifact, Result]:
    return library._artifact, library.score(photograph, keep=True)


def said_of(artifact: DetectorArtifact, result: Result, score: float, **changes: Any) -> Any:
    said = {
        "score": np.float64(score),
        "anomalous": np.bool_(score > result.threshold),
        "p_value": artifact.p_values(np.array([score])),
        "anomaly_map": result.map[None],
    }
    return lambda _: said | changes


def test_what_is_compared(library: vqi.Model, parts: Path) -> None:
    artifact, result = artifact_and_result(library, next((parts / "test" / "good").iterdir()))
    low, middle, high = np.quantile(artifact.calibration_scores, [0.16, 0.5, 0.84])
    spread = (high - low) / 2
    lower = result.score - 0.6 * spread  # so that no decision is another

    def found(*shares: float) -> Int8Parity:
        """Of good photographs whose scores in int8 are so many spreads away."""
        turns = iter(lower + share * spread for share in (*shares, 0))
        fp32 = replace(result, score=lower)
        return compare_int8(
            lambda pixels: said_of(artifact, result, next(turns))(pixels), [fp32] * len(shares), [fp32], artifact
        )

    near = found(-0.99 * INT8_NOISE, 0.99 * INT8_NOISE)
    assert (near.photographs, near.good, near.flips) == (3, 2, 0)
    assert near.noise == pytest.approx(0.99 * INT8_NOISE)
    assert found(0.1, 0.1).shift == pytest.approx(0.1 * (lower + 0.05 * spread) / middle)
    with pytest.raises(
        VqiError, match=r"2 good photographs .* apart by 0\.21 .* photographs that the model was not train"
    ):
        found(-0.21, 0.21)
    with pytest.raises(VqiError, match=r"apart by 0 .*, around a shift of 0\.[5-9]"):
        found(*[1.02 * INT8_SHIFT * middle / lower] * 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"anomalous": np.bool_(True)},  # of a score below the threshold
        {"p_value": np.float64(0.001)},
        {"anomaly_map": np.array([np.nan])},
    ],
)
def test_what_a_file_says_belongs_to_its_score(library: vqi.Model, parts: Path, changes: dict[str, Any]) -> None:
    artifact, result = artifact_and_result(library, next((parts / "test" / "good").iterdir()))
    assert not result.flagged
    with pytest.raises(VqiError, match="int8 does not decide as the library does in fp32"):
        compare_int8(said_of(artifact, result, result.score, **changes), [result], [], artifact)


def test_another_decision_is_refused_unless_the_score_is_near_to_the_threshold(library: vqi.Model, parts: Path) -> None:
    found = [artifact_and_result(library, one) for one in (parts / "test" / "defective").iterdir()]
    artifact, defective = max(found, key=lambda pair: pair[1].score)
    good = library.score(next((parts / "test" / "good").iterdir()), keep=True)
    assert defective.flagged  # by far
    missed = said_of(artifact, defective, defective.threshold * 0.99)
    with pytest.raises(VqiError, match=r"anomalous False instead of True"):
        compare_int8(missed, [defective], [], artifact)
    result = replace(good, score=float(np.nextafter(good.threshold, np.inf)), flagged=True)
    same = said_of(artifact, good, good.threshold)
    assert compare_int8(same, [replace(good, score=good.threshold)], [result], artifact).flips == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"needs photographs of good parts to quantise on: --calibrate FOLDER"),
        ({"calibrate": ["empty"]}, r"empty: expected at least 20 photographs of good parts to quantise on, got 0"),
        ({"calibrate": ["few/*.png"]}, r"expected at least 20 photographs .* got 3 that can be read"),
        ({"precision": "fp32", "calibrate": ["few"]}, r"with precision 'fp32': only 'int8' takes them"),
        ({"to": "onnx", "calibrate": ["few"]}, "precision 'int8' of an ONNX file: expected 'fp32'"),
    ],
)
def test_what_cannot_be_done_is_said(
    model: Path, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "few").symlink_to(parts / "test" / "defective")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VqiError, match=message):
        writing.export(**{"model": model, "folder": tmp_path / "file", "precision": "int8"} | options)
    assert not (tmp_path / "file").exists()


def test_the_extra_is_named_where_it_is_missing(
    model: Path, good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    monkeypatch.setattr("importlib.metadata.requires", lambda _: ["nncf==3.4.0; extra == 'int8'"])
    arguments = ["export", str(model), "--to", "openvino", "--precision", "int8", "-o", str(tmp_path / "file")]
    result = CliRunner().invoke(vqi_command, [*arguments, "--calibrate", str(good)])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "needs the package 'nncf', which is not installed: pip install 'vqi[int8]'" in result.stderr


# NNCF with a module of OpenVINO's telemetry that is there, and that nobody may import.
TELLS_NOBODY = """
import socket, sys
def refused(*arguments, **options):
    raise AssertionError(f"an address was looked up: {arguments}")
socket.getaddrinfo = socket.socket.connect = refused
from vqi.export.quantizing import nncf
nncf()
import numpy, openvino
from openvino import opset13 as ops
given = ops.parameter([1, 8, 8, 3], openvino.Type.u8)
product = ops.matmul(ops.convert(given, "f32"), numpy.ones((3, 4), numpy.float32), False, False)
data = nncf().Dataset([numpy.full((1, 8, 8, 3), level, numpy.uint8) for level in range(9)])
made = nncf().quantize(openvino.Model([product], [given]), data)
assert any(one.get_type_name() == "FakeQuantize" for one in made.get_ops())
assert sys.modules["openvino_telemetry"] is None
"""


def test_quantising_tells_nobody(tmp_path: Path) -> None:
    (tmp_path / "openvino_telemetry.py").write_text("raise AssertionError('imported')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", TELLS_NOBODY], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_network_that_cannot_be_quantised_is_said_in_one_line() -> None:
    from openvino import opset13 as ops

    given = ops.parameter([1, 8, 8, 3], openvino.Type.u8)
    plain = openvino.Model([ops.convert(given, "f32")], [given])
    with pytest.raises(VqiError, match=r"nothing of the network can be quantised: export it as fp32 or bf16"):
        quantizing.quantized(plain, [np.zeros((8, 8, 3), np.uint8)])
    weights = ops.constant(np.ones((3, 4), np.float32))
    product = openvino.Model([ops.matmul(ops.convert(given, "f32"), weights, False, False)], [given])
    with pytest.raises(VqiError, match=r"the network cannot be quantised \(.*\): export it as fp32 or bf16"):
        quantizing.quantized(product, [np.zeros((3, 3), np.uint8)])


def test_photographs_are_spaced_evenly_and_every_fourth_is_held_back(tmp_path: Path) -> None:
    for level in range(30):
        Image.new("RGB", (8, 8), (level, 0, 0)).save(tmp_path / f"{level:02d}.png")
    found = quantizing.good_photographs([str(tmp_path)], Reader(Size(8, 8), 1000, None))
    assert [Path(str(one)).stem for one in found.held_back] == [f"{level:02d}" for level in range(3, 30, 4)]
    assert len(found.pixels) == 23
    assert quantizing._spaced(list(range(10)), 4) == [0, 2, 5, 7]
