"""How fast an engine is here: ``python -m vqi.network.timing ENGINE PRECISION`` prints images per second. Imports
torch.

In a process of its own, because an engine may end it: one that was built for another processor, for example.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from vqi.config import FeatureExtract, Preprocess, SslFinetune, defaults
from vqi.network.building import build
from vqi.network.engines import choose
from vqi.network.extraction import Extractor
from vqi.sizes import wanted_size

BATCHES = 3  # of which the fastest counts: a shared machine makes the others slower


def images_per_second(engine: str, precision: str) -> float:
    """Of the default network with random weights, in full batches."""
    size, settings = wanted_size(defaults(Preprocess).image_size).size, FeatureExtract()
    backbone = build(defaults(SslFinetune).backbone_name, "random", size=size)
    extractor = Extractor(backbone, settings.layers, settings.pool, settings.batch_size, choose(engine, precision))
    batch = np.random.default_rng(0).integers(0, 256, (settings.batch_size, *size, 3), dtype=np.uint8)
    extractor.extract(batch)  # compiles
    seconds = []
    for _ in range(BATCHES):
        begin = time.perf_counter()
        extractor.extract(batch)
        seconds.append(time.perf_counter() - begin)
    return settings.batch_size / min(seconds)


if __name__ == "__main__":
    sys.stdout.write(f"{images_per_second(sys.argv[1], sys.argv[2]):.3f}\n")
