"""A model is loaded while another one scores, in two threads of one process."""

import threading

import numpy as np
import torch

from tests.vqi.made import RUNTIME
from vqi.network.building import build
from vqi.network.extraction import Extractor
from vqi.network.truncation import truncate
from vqi.sizes import square

TRACES = 3


def test_a_network_is_called_while_another_one_is_traced() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)
    backbone = build("tf_efficientnet_lite0", "random", size=square(64))
    extractor = Extractor(backbone, ["blocks.1"], 1, 1, RUNTIME)
    expected = extractor.extract(image).layers[0]
    traced: list[torch.nn.Module] = []

    def trace() -> None:
        for _ in range(TRACES):
            traced.append(truncate(backbone.model, ["blocks.5"]))

    thread = threading.Thread(target=trace)
    thread.start()
    calls = 0
    while thread.is_alive() or not calls:
        np.testing.assert_array_equal(extractor.extract(image).layers[0], expected)
        calls += 1
    thread.join()
    # a trace that was disturbed gives the whole network with hooks
    assert [type(one).__name__ for one in traced] == ["_Traced"] * TRACES
