"""Which engine and precision are chosen, and that every engine computes what eager fp32 does."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vqi.artifacts.backbone import Runtime
from vqi.errors import VqiError
from vqi.network import engines, runtime
from vqi.network.building import build
from vqi.network.engines import choose, choose_like
from vqi.network.extraction import FeatureNetwork
from vqi.network.runtime import compile_network
from vqi.system.processor import processor_flags

AMX = frozenset({"avx512f", "avx512_bf16", "amx_bf16", "amx_tile"})
AVX512 = frozenset({"avx512f", "avx512_bf16"})
INTEL = AVX512 | {"GenuineIntel"}
NONE = frozenset({"sse4_2", "avx2"})
ENGINES = [
    f"{name} {precision}"
    for name in ("eager", "ipex", "openvino")
    for precision in ("fp32", "bf16")
    if engines.installed(name) and engines.supports(name, precision, processor_flags())
]
LAYERS = ["blocks.5", "blocks.2"]
ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
TOLERANCE = {"fp32": 1e-4, "bf16": 0.1}  # of the norm; in bf16, three digits per layer, every engine is off by 0.073


def made(name: str, reason: str = "a test") -> Runtime:
    engine, precision = name.split()
    return Runtime(engine=engine, precision=precision, reason=reason)


@pytest.mark.parametrize(
    ("flags", "precision", "installed", "expected"),
    [
        (AMX, "auto", "ipex openvino", ("openvino", "bf16")),
        (AMX, "fp32", "ipex openvino", ("openvino", "fp32")),
        (AMX, "auto", "ipex", ("ipex", "bf16")),
        (AVX512, "auto", "ipex openvino", ("openvino", "bf16")),
        (AVX512, "auto", "ipex", ("ipex", "bf16")),
        (AVX512, "auto", "openvino", ("openvino", "bf16")),
        (AVX512, "fp32", "ipex openvino", ("openvino", "fp32")),
        (INTEL, "auto", "ipex openvino", ("openvino", "fp32")),
        (INTEL, "bf16", "ipex openvino", ("openvino", "bf16")),
        (INTEL | AMX, "auto", "ipex openvino", ("openvino", "bf16")),
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
    monkeypatch.setattr(engines, "installed", lambda name: name in (*installed.split(), "eager"))
    chosen = choose("auto", precision, flags)
    assert (chosen.engine, chosen.precision) == expected
    assert chosen == choose("auto", precision, flags)


def test_an_engine_that_was_asked_for_is_taken_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose("eager", "auto", AMX).precision == "bf16"
    assert choose("eager", "auto", NONE) == made(
        "eager fp32", "engine 'eager' was asked for, on a processor without bf16"
    )
    with pytest.raises(VqiError, match="engine 'ipex' computes in bf16 only on a processor with AVX-512"):
        choose("ipex", "bf16", NONE)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "openvino" else found(name))
    with pytest.raises(VqiError, match=r"engine 'openvino' is not installed: pip install 'vqi\[torch\]'"):
        choose("openvino", "auto", AMX)


@pytest.mark.parametrize(
    ("engine", "precision", "message"),
    [
        ("openvin", "auto", "unknown engine 'openvin': did you mean 'openvino'?"),
        ("auto", "fp16", "unknown precision 'fp16': did you mean '"),
    ],
)
def test_unknown_names(engine: str, precision: str, message: str) -> None:
    for choice in (lambda: choose(engine, precision), lambda: choose_like(made("eager fp32"), engine, precision)):
        with pytest.raises(VqiError, match=re.escape(message)):
            choice()


def test_the_reason_says_what_differs_from_the_engine_that_made_the_model() -> None:
    model = made("eager bf16")
    assert choose_like(model, flags=AMX) == made("eager bf16", "as the model was made")
    assert choose_like(model, "auto", "fp32", AMX) == made("eager fp32", "fp32 was asked for")


@pytest.mark.parametrize(
    ("made_with", "asked", "flags", "installed", "expected"),
    [
        ("ipex bf16", ("auto", "auto"), AMX, "ipex openvino", "ipex bf16"),
        ("openvino bf16", ("auto", "auto"), AMX, "ipex openvino", "openvino bf16"),
        ("openvino bf16", ("auto", "auto"), INTEL, "ipex openvino", "openvino bf16"),  # what the threshold is for
        ("eager fp32", ("auto", "auto"), AMX, "ipex openvino", "eager fp32"),
        ("ipex bf16", ("auto", "auto"), AMX, "openvino", "openvino bf16"),  # the engine is not here
        ("ipex fp32", ("auto", "auto"), AMX, "openvino", "openvino fp32"),
        ("ipex bf16", ("auto", "auto"), NONE, "ipex openvino", "openvino fp32"),  # the processor has no bf16
        ("openvino bf16", ("auto", "auto"), NONE, "", "eager fp32"),
        ("ipex bf16", ("eager", "auto"), AMX, "ipex openvino", "eager bf16"),
        ("ipex bf16", ("auto", "fp32"), AMX, "ipex openvino", "ipex fp32"),
        ("ipex bf16", ("openvino", "fp32"), AMX, "ipex openvino", "openvino fp32"),
        ("openvino fp32", ("auto", "bf16"), NONE, "openvino", "openvino bf16"),
    ],
)
def test_what_scores_a_model_that_was_made_with_another(
    monkeypatch: pytest.MonkeyPatch,
    made_with: str,
    asked: tuple[str, str],
    flags: frozenset[str],
    installed: str,
    expected: str,
) -> None:
    monkeypatch.setattr(engines, "installed", lambda name: name in (*installed.split(), "eager"))
    chosen = choose_like(made(made_with), *asked, flags=flags)
    assert f"{chosen.engine} {chosen.precision}" == expected


def test_flags_are_read_as_linux_writes_them(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    first = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu avx512_bf16 amx_bf16\n"
    cpuinfo.write_text(f"{first}\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert processor_flags(cpuinfo) == {"fpu", "avx512_bf16", "amx_bf16", "GenuineIntel"}
    cpuinfo.write_text("Processor : ARM\n")
    assert processor_flags(cpuinfo) == frozenset()
    assert processor_flags(tmp_path / "missing") == frozenset()


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    return FeatureNetwork(build("tf_efficientnet_lite0", "pretrained"), LAYERS, 1).eval()


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
def expected(network: FeatureNetwork, cells: torch.Tensor) -> tuple[torch.Tensor, ...]:
    with torch.inference_mode():
        result: tuple[torch.Tensor, ...] = network(cells)
        return result


def check_engine(network: FeatureNetwork, cells: torch.Tensor, expected: Sequence[torch.Tensor], name: str) -> None:
    """Each layer is what eager fp32 computes, whatever else was computed before and after."""
    runtime = made(name)
    forward = compile_network(network, cells, runtime)
    first, second, turned = forward(cells), forward(cells), forward(cells.flip(0))
    assert len(first) == len(expected) == len(LAYERS)
    for one, again, other, wanted in zip(first, second, turned, expected, strict=True):
        assert (one.dtype, one.shape) == (torch.float32, wanted.shape)
        assert torch.equal(one, again)  # a later call does not write into what an earlier one gave
        tolerance = TOLERANCE[runtime.precision] * torch.linalg.norm(wanted)
        assert torch.linalg.norm(one - wanted) <= tolerance, float(torch.linalg.norm(one - wanted))
        assert torch.linalg.norm(other.flip(0) - wanted) <= tolerance


@pytest.mark.parametrize("name", [name for name in ENGINES if not name.startswith("ipex")])
def test_engine_computes_what_eager_fp32_does(
    network: FeatureNetwork, cells: torch.Tensor, expected: tuple[torch.Tensor, ...], name: str
) -> None:
    check_engine(network, cells, expected, name)


# Each name is given and loaded anew: what IPEX did to the network before does not count.
CHECK_EACH = """
import sys, torch
from tests.vqi.network.test_runtime import check_engine

for name in sys.argv[2:]:
    print(name, flush=True)
    check_engine(*torch.load(sys.argv[1], weights_only=False), name)
"""


def test_ipex_computes_what_eager_fp32_does(
    network: FeatureNetwork, cells: torch.Tensor, expected: tuple[torch.Tensor, ...], tmp_path: Path
) -> None:
    """In a process of its own, which takes seconds to start: one that has used IPEX computes different bits from then
    on."""
    names = [name for name in ENGINES if name.startswith("ipex")]
    if not names:
        pytest.skip("IPEX is not installed")
    torch.save((network, cells, expected), tmp_path / "given.pt")
    command = [sys.executable, "-c", CHECK_EACH, str(tmp_path / "given.pt"), *names]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == names


def test_a_single_image_is_looked_at_with_one_thread() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with runtime.few_threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with runtime.few_threads(8):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
