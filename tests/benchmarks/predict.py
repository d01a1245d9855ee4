"""One image at a time with a published model: the first call, later calls, and the compiled network alone.

In processor time, which other load on the machine affects less than wall-clock time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tests.benchmarks.measure import command_cost, table, vqi
from vqi.config import FeatureExtract, Preprocess, SslFinetune, defaults
from vqi.datasets import elpv
from vqi.models.model import Model
from vqi.network.building import build
from vqi.network.extraction import FeatureNetwork
from vqi.network.runtime import compile_network
from vqi.photographs.decoding import decode

CALLS = 50


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = ["-p", 'categories=["mono"]', "-p", "limit_per_class=60", "-p", "bootstrap=100"]
        command_cost(vqi("run", "--runs-dir", str(folder / "runs"), "--store", str(folder / "store"), *given))
        rows = []
        for engine, precision in (("openvino", "bf16"), ("openvino", "fp32"), ("eager", "fp32")):
            rows.append([f"{engine} {precision}", *_row(f"file://{folder}/store/models/elpv/mono", engine, precision)])
    heads = ["engine", "load", "first call", "later calls", "the network alone", "later calls / network"]
    table("vqi.Model.score of one image, processor time", heads, rows)


def _row(uri: str, engine: str, precision: str) -> list[str]:
    entry = next(one for one in elpv.split(elpv.read_labels(elpv.locate()), "mono") if one.path.startswith("test/"))
    image = entry.read()
    loaded: list[Model] = []
    load = _seconds(lambda: loaded.append(Model(uri, engine, precision)))
    model = loaded[0]
    first = _seconds(lambda: model.score(image))
    settings = defaults(FeatureExtract)
    backbone = build(defaults(SslFinetune).backbone_name, "pretrained")
    network = FeatureNetwork(backbone, FeatureExtract().layers, settings.pool)
    decoded = decode(image, "", model.manifest.image_size, defaults(Preprocess).max_pixels)
    pixels = torch.from_numpy(decoded[None])
    forward = compile_network(network, pixels, model.runtime)
    later, bare = _in_turns([lambda: model.score(image), lambda: forward(pixels)])
    return [*(f"{1000 * cost:.1f} ms" for cost in (load, first, later, bare)), f"{later / bare:.2f}"]


def _seconds(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def _in_turns(calls: list[Callable[[], object]]) -> list[float]:
    """The median cost of each call."""
    for call in calls:
        call()
    costs = [[_seconds(call) for call in calls] for _ in range(CALLS)]
    return [float(median) for median in np.median(costs, axis=0)]
