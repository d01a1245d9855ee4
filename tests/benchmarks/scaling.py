"""How time and memory grow with the number of images."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.benchmarks.measure import Cost, command_cost, table

SIZES = [125, 250, 500, 1000]
PIXELS = 512


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n in SIZES:
            costs = steps(Path(folder) / str(n), n)
            rows.append([n, *(f"{cost.seconds:.1f} s, {cost.peak_mb:.0f} MB" for cost in costs.values())])
    table(f"Growth with the number of images ({PIXELS} px PNG, scaled to 224)", ["images", *costs], rows)


def steps(folder: Path, n: int) -> dict[str, Cost]:
    """Each step as a process of its own on ``n`` images, start included."""
    source = folder / "source" / "part" / "train" / "good"
    source.mkdir(parents=True)
    random = np.random.default_rng(0)
    for i in range(n):
        ramp = np.add.outer(np.arange(PIXELS), np.arange(PIXELS)) % 200 + random.integers(0, 55, (PIXELS, PIXELS))
        Image.fromarray(ramp.astype(np.uint8)).save(source / f"{i:05}.png", compress_level=1)
    names = (
        "catalog",
        "dataset",
        "categories",
        "recipe",
        "changes",
        "images",
        "report",
        "page",
        "page_folder",
        "backbone",
        "parent",
        "log",
        "features",
    )
    at = {name: str(folder / name) for name in (*names, "detector")}
    environment = {**os.environ, "VQI_STORE": f"file://{folder / 'store'}"}

    def step(name: str, *flags: str) -> Cost:
        return command_cost([sys.executable, "-m", f"vqi_components.{name}", *flags], env=environment)

    step("dataset_download", "--source", f"folder:{folder / 'source'}", "--catalog", at["catalog"],
         "--dataset", at["dataset"], "--categories", at["categories"],
         "--recipe", at["recipe"], "--changes", at["changes"])  # fmt: skip
    dataset = Path(at["dataset"]).read_text()
    costs = {}
    costs["preprocess"] = step("preprocess", "--dataset", dataset, "--category", "part",
                               "--images", at["images"], "--data-report", at["report"],
                               "--data-page", at["page"], "--data-page-folder", at["page_folder"])  # fmt: skip
    step("ssl_finetune", "--images", at["images"], "--backbone", at["backbone"], "--parent", at["parent"],
         "--training-log", at["log"])  # fmt: skip
    costs["feature_extract"] = step("feature_extract", "--images", at["images"], "--backbone", at["backbone"],
                                    "--parent", at["parent"], "--features", at["features"])  # fmt: skip
    costs["pca_fit"] = step("pca_fit", "--features", at["features"], "--detector", at["detector"])
    return costs
