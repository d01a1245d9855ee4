"""Threads, precision and engine: what runs a network on this processor. Imports torch.

``auto`` picks by a fixed rule on what is installed and what the processor has, never by timing, because a run must be
repeatable.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import torch

from vqi.artifacts.backbone import Runtime
from vqi.config import Engine, Precision
from vqi.errors import VqiError, unknown
from vqi.system.processor import threads

# A batch (B, H, W, 3) uint8 -> the outputs of some layers, (B, C, h, w) float32 each where they are maps.
Forward = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]

ORDER = ("openvino", "ipex", "eager")  # of what ``auto`` takes


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the processor can do, as Linux names it (``avx512_bf16``, ``amx_bf16``, ...); empty where not known."""
    if not cpuinfo.exists():
        return frozenset()
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def choose(engine: str, precision: str, flags: frozenset[str] | None = None) -> Runtime:
    """Pick the engine and the precision.

    Args:
        engine: ``auto``, ``ipex``, ``openvino`` or ``eager``.
        precision: ``auto``, ``fp32`` or ``bf16``.
        flags: Of the processor; read from this machine when None.

    Returns:
        With ``auto``: bf16 where the processor computes in it, else fp32; OpenVINO, or the next of ``ORDER`` where that
        is not installed.

    Raises:
        VqiError: An unknown name, or an engine that is not installed or does not compute in that precision on this
            processor.
    """
    _check_names(engine, precision)
    flags = processor_flags() if flags is None else flags
    native = _native_bf16(flags)
    if precision == "auto":
        precision = "bf16" if native else "fp32"
    has = f"a processor with {native}" if native else "a processor without bf16"
    if engine != "auto":
        if not _installed(engine):
            raise VqiError(f"engine '{engine}' is not installed: pip install 'vqi[torch]', or set engine to 'auto'")
        if not supports(engine, precision, flags):
            raise VqiError(
                f"engine '{engine}' computes in {precision} only on a processor with AVX-512, which this one is not: "
                "set precision to 'fp32', or engine to 'auto'"
            )
        return Runtime(engine=engine, precision=precision, reason=f"engine '{engine}' was asked for, on {has}")
    engine = next(name for name in ORDER if _installed(name) and supports(name, precision, flags))
    return Runtime(engine=engine, precision=precision, reason=f"auto, on {has}")


def choose_like(
    made_with: Runtime, engine: str = "auto", precision: str = "auto", flags: frozenset[str] | None = None
) -> Runtime:
    """Pick the engine and the precision for what was made with others.

    Args:
        made_with: What it was made with.
        engine: ``auto`` = that of ``made_with`` where this machine has it, else what ``choose`` finds; or a name.
        precision: As ``engine``.
        flags: Of the processor; read from this machine when None.

    Raises:
        VqiError: As ``choose``.
    """
    _check_names(engine, precision)
    flags = processor_flags() if flags is None else flags
    if precision == "auto" and (made_with.precision == "fp32" or _native_bf16(flags)):
        precision = made_with.precision
    known = _installed(made_with.engine) and supports(made_with.engine, precision, flags)
    if engine != "auto" or precision == "auto" or not known:
        return choose(engine, precision, flags)
    found = choose(made_with.engine, precision, flags)
    same = precision == made_with.precision
    return found.model_copy(update={"reason": "as the model was made" if same else f"{precision} was asked for"})


def _check_names(engine: str, precision: str) -> None:
    for what, name, known in (("engine", engine, get_args(Engine)), ("precision", precision, get_args(Precision))):
        if name not in known:
            raise unknown(what, name, known)


def _native_bf16(flags: frozenset[str]) -> str:
    """The flag by which the processor computes in bf16; '' where it does not."""
    return next((flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags), "")


def compile_network(network: torch.nn.Module, example: torch.Tensor, runtime: Runtime) -> Forward:
    """Prepare a network for inference with a fixed batch shape.

    Args:
        network: From uint8 images (B, H, W, 3) to a tuple of outputs, (B, ...) each.
        example: A batch of the shape that every later call has.
        runtime: Engine and precision.
    """
    torch.set_num_threads(threads())
    network = network.eval()
    forward = {"ipex": _ipex, "openvino": _openvino, "eager": _eager}[runtime.engine](network, example, runtime)
    logging.getLogger(__name__).info(
        "engine %s, %s, %d threads (%s)", runtime.engine, runtime.precision, threads(), runtime.reason
    )
    return forward


def supports(engine: str, precision: str, flags: frozenset[str]) -> bool:
    """Whether an engine has the precision on a processor with these flags: IPEX's bf16 kernels are AVX-512."""
    return engine != "ipex" or precision != "bf16" or "avx512f" in flags


def _installed(engine: str) -> bool:
    module = {"ipex": "intel_extension_for_pytorch", "openvino": "openvino"}.get(engine, "torch")
    return importlib.util.find_spec(module) is not None


def _channels_last(network: torch.nn.Module) -> None:
    """Lay out the weights as the images are. Module.to() would fail at a tensor of rank 5, like the masks in Swin."""
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)


def _eager(network: torch.nn.Module, example: torch.Tensor, runtime: Runtime) -> Forward:
    _channels_last(network)

    def forward(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=runtime.precision == "bf16"):
            return tuple(output.float() for output in network(batch))

    return forward


def _ipex(network: torch.nn.Module, example: torch.Tensor, runtime: Runtime) -> Forward:
    os.environ.setdefault("USER", "vqi")  # IPEX asks for the user's name, which an arbitrary user id does not have
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own use of deprecated interfaces
        import intel_extension_for_pytorch as ipex

        logging.getLogger("IPEX").setLevel(logging.ERROR)  # its remarks on folding that was done before
        dtype = torch.bfloat16 if runtime.precision == "bf16" else torch.float32
        _channels_last(network)
        optimised = ipex.optimize(network, dtype=dtype, inplace=False)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
            traced = torch.jit.freeze(torch.jit.trace(optimised, example, check_trace=False))
        with torch.inference_mode():
            for _ in range(2):  # the first calls, in the mode of all later ones, specialise the graph
                traced(example)

    def forward(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.inference_mode():
            return tuple(output.float() for output in traced(batch))

    return forward


def _openvino(network: torch.nn.Module, example: torch.Tensor, runtime: Runtime) -> Forward:
    # Its converter reports usage over the network unless this module is missing; it is made to look missing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's remarks on constants
        with torch.inference_mode():
            traced = torch.jit.freeze(torch.jit.trace(network, example, check_trace=False))
        model = openvino.convert_model(traced, example_input=example, input=[list(example.shape)])
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "bf16" if runtime.precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()

    def forward(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        results = request.infer([batch.numpy()], share_inputs=True, share_outputs=False)
        return tuple(torch.from_numpy(results[place]).float() for place in range(len(results)))

    return forward
