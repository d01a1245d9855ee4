"""All steps of a category, one after the other, each as a process of its own, on drawn photographs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.benchmarks.measure import Cost, command_cost
from tests.step_outputs import output_files

PIXELS = 512  # of a photograph, on a side
TEST_SHARE = 0.1  # of the photographs are good ones for the test, and as many defective ones


def step_costs(folder: Path, images: int) -> dict[str, Cost]:
    """What each step costs on so many photographs with the default parameters, its start included.

    Args:
        folder: Receives photographs, store and artifacts.
        images: Photographs of the category.
    """
    draw(folder / "source" / "part", images)
    environment = {**os.environ, "VQI_STORE": f"file://{folder / 'store'}"}
    return {
        name: command_cost([sys.executable, "-m", f"vqi_components.{name}", *flags_of(name, folder)], env=environment)
        for name in STEPS
    }


def flags_of(step: str, folder: Path) -> list[str]:
    """The flags of a step whose inputs were written to a folder, and whose outputs are."""
    at = {name: path for one in STEPS for name, path in output_files(one, folder).items()}
    values: dict[str, object] = {name: at[name].read_text() if name in TOLD else at[name] for name in STEPS[step]}
    values |= OWN.get(step, {}) | output_files(step, folder)
    if step == "dataset_download":
        values["source"] = f"folder:{folder / 'source'}"
    return [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]


# Of each step the inputs that other steps wrote.
STEPS: dict[str, tuple[str, ...]] = {
    "dataset_download": (),
    "preprocess": ("dataset",),
    "ssl_finetune": ("images",),
    "feature_extract": ("images", "backbone", "parent"),
    "pca_fit": ("features",),
    "evaluate": ("images", "data_report", "features", "detector", "training_log"),
    "publish": ("backbone", "detector", "metrics", "report", "dataset", "summary"),
    "summarize": ("dataset",),
}


TOLD = ("dataset", "summary")  # inputs that are texts, and not places
OWN: dict[str, dict[str, object]] = {
    "preprocess": {"category": "part"},
    "publish": {"run": "cost"},
    "summarize": {"run": "cost"},
}


def draw(category: Path, images: int) -> None:
    """Photographs of a grey ramp with noise; the defective ones have a dark square."""
    random = np.random.default_rng(0)
    test = max(1, round(TEST_SHARE * images))
    folders = {"train/good": images - 2 * test, "test/good": test, "test/stain": test}
    ramp = np.add.outer(np.arange(PIXELS), np.arange(PIXELS)) % 200
    for name, number in folders.items():
        (category / name).mkdir(parents=True)
        for i in range(number):
            photograph = ramp + random.integers(0, 55, (PIXELS, PIXELS))
            if name == "test/stain":
                photograph[200:260, 200:260] = 20
            Image.fromarray(photograph.astype(np.uint8)).save(category / name / f"{i:06}.png", compress_level=1)
