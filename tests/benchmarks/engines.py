"""Images per second of each engine against plain eager fp32, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from tests.benchmarks.measure import table
from vqi.artifacts.backbone import Runtime
from vqi.network.backbones import find_layer
from vqi.network.building import build
from vqi.network.engines import choose, supports
from vqi.network.extraction import FeatureNetwork
from vqi.network.runtime import Forward, compile_network
from vqi.system.processor import processor_flags

BATCH = 16
BACKBONES = [("tf_efficientnet_lite0", "pretrained", "blocks.5"), ("resnet50", "random", "layer3")]
ENGINES = [(engine, precision) for engine in ("eager", "ipex", "openvino") for precision in ("fp32", "bf16")]
ROUNDS, CALLS = 3, 6


def main() -> None:
    for name, weights, layer in BACKBONES:
        backbone = build(name, weights)
        images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (BATCH, 224, 224, 3), dtype=np.uint8))
        forwards = {"plain eager fp32": partial(_plain(backbone.model, layer), images)}
        for engine, precision in ENGINES:
            if not supports(engine, precision, processor_flags()):
                continue
            network = FeatureNetwork(backbone, [layer], 1)
            forward = compile_network(network, images, Runtime(engine=engine, precision=precision, reason=""))
            forwards[f"{engine} {precision}"] = partial(forward, images)
        rates = dict.fromkeys(forwards, 0.0)
        for _ in range(ROUNDS):  # in turn, so that a disturbance affects all equally
            for label, call in forwards.items():
                rates[label] = max(rates[label], _rate(call))
        chosen = choose("auto", "auto")
        rows = [
            [label + (" (auto)" if label == f"{chosen.engine} {chosen.precision}" else ""), f"{rate:.0f}",
             f"{rate / rates['plain eager fp32']:.1f}x"]
            for label, rate in rates.items()
        ]  # fmt: skip
        table(f"{name} to {layer}, 224 px, batch {BATCH}; {chosen.reason}", ["engine", "images/s", "ratio"], rows)


def _plain(model: torch.nn.Module, layer: str) -> Forward:
    """What a first attempt looks like: normalise, the whole model, a hook."""
    kept: list[torch.Tensor] = []
    find_layer(model, layer).register_forward_hook(lambda module, inputs, output: kept.append(output))
    model.eval()

    def forward(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            model(((images.permute(0, 3, 1, 2).contiguous().float() / 255) - 0.5) / 0.5)
        return (kept.pop(),)

    return forward


def _rate(call: Callable[[], tuple[torch.Tensor, ...]]) -> float:
    call()
    begin = time.perf_counter()
    for _ in range(CALLS):
        call()
    return BATCH * CALLS / (time.perf_counter() - begin)
