"""Which engine and precision are chosen, and that every engine computes what eager fp32 does."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vqi.errors import VqiError
from vqi.network import runtime
from vqi.network.backbones import build
from vqi.network.features import FeatureNetwork
from vqi.network.runtime import Runtime, choose, compile_network, processor_flags

AMX = frozenset({"avx512f", "avx512_bf16", "amx_bf16", "amx_tile"})
AVX512 = frozenset({"avx512f", "avx512_bf16"})
NONE = frozenset({"sse4_2", "avx2"})
ENGINES = [
    (name, precision)
    for name in ("eager", "ipex", "openvino")
    for precision in ("fp32", "bf16")
    if runtime._installed(name) and runtime.supports(name, precision, processor_flags())
]
TOLERANCE = {"fp32": 1e-4, "bf16": 0.1}  # of the norm; in bf16, three digits a layer, every engine is off by 0.073


@pytest.mark.parametrize(
    ("flags", "precision", "installed", "expected"),
    [
        (AMX, "auto", "ipex openvino", ("openvino", "bf16")),
        (AMX, "fp32", "ipex openvino", ("openvino", "fp32")),
        (AMX, "auto", "ipex", ("ipex", "bf16")),
        (AVX512, "auto", "ipex openvino", ("ipex", "bf16")),
        (AVX512, "auto", "openvino", ("openvino", "bf16")),
        (AVX512, "fp32", "ipex openvino", ("openvino", "fp32")),
        (NONE, "auto", "ipex openvino", ("openvino", "fp32")),
        (NONE, "bf16", "ipex openvino", ("openvino", "bf16")),
        (NONE, "auto", "", ("eager", "fp32")),
        (AVX512, "auto", "", ("eager", "bf16")),
        (frozenset(), "auto", "ipex", ("ipex", "fp32")),
        (NONE, "bf16", "ipex", ("eager", "bf16")),
    ],
)
def test_rule(
    monkeypatch: pytest.MonkeyPatch,
    flags: frozenset[str],
    precision: str,
    installed: str,
    expected: tuple[str, str],
) -> None:
    monkeypatch.setattr(runtime, "_installed", lambda name: name in (*installed.split(), "eager"))
    chosen = choose("auto", precision, flags)
    assert (chosen.engine, chosen.precision) == expected
    assert chosen == choose("auto", precision, flags)


def test_an_engine_that_was_asked_for_is_taken_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose("eager", "auto", AMX).precision == "bf16"
    assert choose("eager", "auto", NONE) == Runtime(
        "eager", "fp32", "engine 'eager' was asked for, on a processor without bf16"
    )
    with pytest.raises(VqiError, match="engine 'ipex' computes in bf16 only on a processor with AVX-512"):
        choose("ipex", "bf16", NONE)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else found(name))
    with pytest.raises(VqiError, match=r"engine 'openvino' is not installed: pip install 'vqi\[torch\]'"):
        choose("openvino", "auto", AMX)


def test_flags_are_read_as_linux_writes_them(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu avx512_bf16 amx_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert processor_flags(cpuinfo) == {"fpu", "avx512_bf16", "amx_bf16"}
    cpuinfo.write_text("Processor : ARM\n")
    assert processor_flags(cpuinfo) == frozenset()
    assert processor_flags(tmp_path / "missing") == frozenset()


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    return FeatureNetwork(build("tf_efficientnet_lite0", "pretrained"), "blocks.5", 1).eval()


@pytest.fixture(scope="module")
def cells() -> torch.Tensor:
    """Two real solar cells, (2, 224, 224, 3) uint8."""
    spec = importlib.util.find_spec("elpv_dataset")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "data" / "images"
    images = [Image.open(folder / name).convert("RGB").resize((224, 224)) for name in ("cell0001.png", "cell0009.png")]
    return torch.from_numpy(np.stack([np.asarray(image) for image in images]))


@pytest.fixture(scope="module")
def expected(network: FeatureNetwork, cells: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        result: torch.Tensor = network(cells)
        return result


@pytest.mark.parametrize(("engine", "precision"), ENGINES)
def test_engine_computes_what_eager_fp32_does(
    network: FeatureNetwork, cells: torch.Tensor, expected: torch.Tensor, engine: str, precision: str
) -> None:
    forward = compile_network(network, cells, Runtime(engine, precision, "a test"))
    first, second = forward(cells), forward(cells)
    assert (first.dtype, first.shape) == (torch.float32, expected.shape)
    assert torch.equal(first, second)
    error = torch.linalg.norm(first - expected) / torch.linalg.norm(expected)
    assert error <= TOLERANCE[precision], float(error)
    turned = forward(cells.flip(0))
    assert torch.linalg.norm(turned.flip(0) - expected) <= TOLERANCE[precision] * torch.linalg.norm(expected)
    assert torch.equal(first, second)  # a later call does not write into what an earlier one gave
