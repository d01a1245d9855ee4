"""What runs a network: an engine that compiled it, in a precision. Imports torch."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from vqi.artifacts.backbone import Runtime
from vqi.network.turns import MODULES
from vqi.system.openvino import imported
from vqi.system.processor import threads

# A batch (B, H, W, 3) uint8 -> the outputs of some layers, (B, C, h, w) float32 each where they are maps.
Forward = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]


def compile_network(network: torch.nn.Module, example: torch.Tensor, runtime: Runtime) -> Forward:
    """Prepare a network for inference with a fixed batch shape.

    Args:
        network: From uint8 images (B, H, W, 3) to a tuple of outputs, (B, ...) each.
        example: A batch of the shape that every later call has.
        runtime: Engine and precision.
    """
    torch.set_num_threads(threads())
    network = network.eval()
    with MODULES:
        forward = {"ipex": _ipex, "openvino": _openvino, "eager": _eager}[runtime.engine](network, example, runtime)
    logging.getLogger(__name__).info(
        "engine %s, %s, %d threads (%s)", runtime.engine, runtime.precision, threads(), runtime.reason
    )
    return forward


@contextmanager
def few_threads(images: int) -> Iterator[None]:
    """Let torch look at a single image with one thread: several busy-wait for each other, twenty times as long as the
    work takes.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if images == 1 else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _channels_last(network: torch.nn.Module) -> None:
    """Lay out the weights as the images are. Module.to() would fail at a tensor of rank 5, like the masks in Swin."""
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)


def _eager(network: torch.nn.Module, example: torch.Tensor, runtime: Runtime) -> Forward:
    _channels_last(network)

    def forward(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        bf16 = runtime.precision == "bf16"
        with MODULES, torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
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
        with MODULES, torch.inference_mode():
            return tuple(output.float() for output in traced(batch))

    return forward


def _openvino(network: torch.nn.Module, example: torch.Tensor, runtime: Runtime) -> Forward:
    openvino = imported()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's remarks on constants
        with few_threads(len(example)), torch.inference_mode():
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
