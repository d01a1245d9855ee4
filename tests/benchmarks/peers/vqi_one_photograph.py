"""One photograph at a time with vqi in a warm process: a published model, exported files, and the network alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch

import vqi
from tests.benchmarks.peers import photographs
from tests.benchmarks.peers.one_photograph import time_each
from vqi.config import FeatureExtract, SslFinetune, defaults
from vqi.models.model import Model
from vqi.network.building import build
from vqi.network.extraction import FeatureNetwork
from vqi.network.runtime import compile_network


def main(model: str, exported: str, folder: Path, output: Path) -> None:
    published, file = Model(model), vqi.load(exported)
    backbone = build(defaults(SslFinetune).backbone_name, "pretrained")
    network = FeatureNetwork(backbone, FeatureExtract().layers, defaults(FeatureExtract).pool)
    pixels = torch.zeros((1, *published.manifest.image_size, 3), dtype=torch.uint8)
    forward = compile_network(network, pixels, published.runtime)
    calls: dict[str, Callable[[Path], object]] = {
        "model": published.score,
        "exported": file.score,
        "network": lambda _: forward(pixels),
    }
    time_each(calls, photographs.test(folder)[0]).write(output)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
