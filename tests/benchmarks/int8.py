"""What precision does to an exported file: image AUROC, other decisions, and the time of a photograph.

ELPV, and the sources that VQI_BENCH_SOURCES names, with spaces between, such as 'folder:/data/parts'. Each model is
trained with the defaults, and quantised on its training photographs.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import vqi as library
from tests.benchmarks.measure import command_cost, table, vqi
from vqi.artifacts.images import load_images
from vqi.export.saving import NETWORK
from vqi.export.writing import export
from vqi.metrics import image_auroc
from vqi.models.exported_record import RESIZED
from vqi.system.openvino import imported

PRECISIONS = ("fp32", "bf16", "int8")
CALLS = 50


def main() -> None:
    for source in ["elpv", *os.environ.get("VQI_BENCH_SOURCES", "").split()]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            places = ["--runs-dir", str(folder / "runs"), "--store", str(folder / "store")]
            command_cost(vqi("run", *places, "-p", f"source={source}", "-p", "bootstrap=100"))
            for model in sorted((folder / "store/models").glob("*/*/champion.json")):
                category = model.parent.name
                measure(model.parent, folder / f"runs/latest/{category}/preprocess/images", folder / category)


def measure(model: Path, prepared: Path, scratch: Path) -> None:
    """The table of one model, whose images the pipeline prepared."""
    images = load_images(prepared)
    good = scratch / "good"
    good.mkdir(parents=True)
    for row in images.rows("train"):
        Image.fromarray(images.images[row]).save(good / f"{row}.png")
    test = images.rows("test")
    labels = np.array([images.index[row].label for row in test])
    files, scores = {}, {}
    for precision in PRECISIONS:
        calibrate = [str(good)] if precision == "int8" else []
        found = export(model, scratch / precision, precision=precision, calibrate=calibrate)
        print(f"{precision}: {found}")
        files[precision] = library.load(scratch / precision)
        results = files[precision].score_many(images.images[row] for row in test)
        scores[precision] = np.array([one.score for one in results if isinstance(one, library.Result)])
    limit = files["fp32"].threshold
    exact = scores["fp32"]
    spread = np.std(exact[labels == 0])
    times = _times(files, scratch, images.images[test[0]])
    rows = []
    for precision in PRECISIONS:
        own = scores[precision]
        flagged = own > limit
        rows.append(
            [precision, f"{image_auroc(labels, own):.4f}", f"{_rms((own - exact)[labels == 0]) / spread:.2f}",
             f"{np.count_nonzero(flagged != (exact > limit))} of {len(own)}",
             f"{flagged[labels == 0].mean():.1%}", f"{flagged[labels == 1].mean():.1%}",
             *(f"{1000 * cost:.1f} ms" for cost in times[precision]),
             f"{sum(one.stat().st_size for one in (scratch / precision).iterdir()) / 1e6:.0f} MB"]
        )  # fmt: skip
    heads = ["precision", "image AUROC", "good scores apart, of their spread", "other decisions", "good flagged"]
    heads += ["defective flagged", "network", "photograph", "file"]
    table(f"{model.parent.name}/{model.name}: {len(labels)} test images; processor time, best of {CALLS}", heads, rows)


def _times(files: dict[str, Any], scratch: Path, pixels: np.ndarray) -> dict[str, list[float]]:
    """Of the network alone, and of a photograph as PNG from its bytes to the verdict, in turns."""
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    calls: dict[str, list[Callable[[], object]]] = {}
    for precision, file in files.items():
        network = _network(scratch / precision / "model.xml")
        calls[precision] = [
            lambda network=network: network([pixels[None]]),
            lambda file=file: file.score(png.getvalue()),
        ]
    for pair in calls.values():
        for call in pair:
            call()
    costs: dict[str, list[list[float]]] = {precision: [[], []] for precision in calls}
    for _ in range(CALLS):
        for precision, pair in calls.items():
            for kept, call in zip(costs[precision], pair, strict=True):
                begin = time.process_time()
                call()
                kept.append(time.process_time() - begin)
    return {precision: [min(kept) for kept in pair] for precision, pair in costs.items()}


def _network(path: Path) -> Any:
    """The network of a file, compiled, from a photograph of its size."""
    openvino = imported()
    core = openvino.Core()
    model = core.read_model(path)
    named = {one.get_friendly_name(): one for one in model.get_ops()}
    ends = [
        output
        for name, one in named.items()
        for output in one.outputs()
        if name.startswith(NETWORK)
        and any(not to.get_node().get_friendly_name().startswith(NETWORK) for to in output.get_target_inputs())
    ]
    resized = named[RESIZED].output(0)
    photograph = openvino.op.Parameter(resized.get_element_type(), resized.get_partial_shape())
    resized.replace(photograph.output(0))
    network = openvino.Model([openvino.opset13.result(one) for one in ends], [photograph], "network")
    return core.compile_model(network, "CPU", {"INFERENCE_NUM_THREADS": 1})


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
