"""What fine-tuning does: image AUROC on ELPV by method, over three seeds, with the time that training takes.

The settings are those of the parameter files; features, detector and measures are those of the pipeline's steps.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.benchmarks.measure import command_cost, table, vqi
from vqi.artifacts import Features, Images, load_images
from vqi.backbones import Backbone, build
from vqi.comparison import Suitability, suitability
from vqi.config import FeatureExtract, PcaFit, SslFinetune, defaults
from vqi.features import extract_splits
from vqi.self_supervised import finetune

SEEDS = (0, 1, 2)
CATEGORIES = ("mono", "poly")
PARAMETERS = Path(__file__).parents[2] / "pipelines" / "params"
METHODS: dict[str, tuple[str, dict[str, Any]]] = {  # parameter file, other keys of finetune
    "SimSiam": ("elpv_simsiam.yaml", {}),
    "CutPaste normal": ("elpv_cutpaste.yaml", {"variant": "normal"}),
    "CutPaste 3way": ("elpv_cutpaste.yaml", {}),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command_cost(vqi("run", "--runs-dir", f"{folder}/runs", "--store", f"{folder}/store"))
        images = {name: load_images(Path(folder) / "runs/latest" / name / "preprocess/images") for name in CATEGORIES}
        parent = build(defaults(SslFinetune).backbone_name, "pretrained")
        before = {name: extract_splits(images[name], parent, FeatureExtract()) for name in CATEGORIES}
        rows = [["pretrained"]]
        for name in CATEGORIES:
            rows[0] += [f"{measure(images[name], before[name], [0, 1]).image_auroc:.4f}", "", ""]
        for method, (file, other) in METHODS.items():
            cells = [method]
            for name in CATEGORIES:
                runs = [_run(images[name], parent, before[name], settings_of(file, other, seed)) for seed in SEEDS]
                figures, befores, seconds = zip(*runs, strict=True)
                aurocs = [one.image_auroc for one in figures]
                ratio = np.mean([one.held_out_fre_ratio / b for one, b in zip(figures, befores, strict=True)])
                spread = f"{np.mean(aurocs):.4f} ({min(aurocs):.4f} to {max(aurocs):.4f})"
                cells += [spread, f"{ratio:.2f}x", f"{np.mean(seconds):.0f} s"]
                print(method, name, cells[-3:], flush=True)
            rows.append(cells)
    heads = ["method", *(f"{name} {what}" for name in CATEGORIES for what in ("image AUROC", "FRE ratio", "training"))]
    table(f"ELPV by method of fine-tuning: mean (least to most) over seeds {SEEDS}", heads, rows)


def settings_of(file: str, other: dict[str, Any], seed: int) -> SslFinetune:
    """The settings of a parameter file, with other keys of ``finetune`` and a seed."""
    given = yaml.safe_load((PARAMETERS / file).read_text())
    return SslFinetune(
        method=given["method"], epochs=given["epochs"], finetune={**given["finetune"], **other}, seed=seed
    )


def measure(images: Images, features: Features, held_out: list[int]) -> Suitability:
    """Image AUROC and held-out FRE ratio; ``held_out`` are rows among the training images."""
    labels = np.array([images.index[row].label for row in images.rows("test")])
    return suitability(features.train, features.test, labels, held_out, defaults(PcaFit).variance)


def _run(images: Images, parent: Backbone, before: Features, settings: SslFinetune) -> tuple[Suitability, float, float]:
    """The fine-tuned backbone's figures, its parent's FRE ratio on the same held-out images, and the seconds."""
    begin = time.perf_counter()
    tuned = finetune(parent, images, settings)
    seconds = time.perf_counter() - begin
    places = {row: place for place, row in enumerate(images.rows("train"))}
    held_out = [places[row] for row in tuned.held_out]
    after = extract_splits(images, tuned.backbone, FeatureExtract())
    return measure(images, after, held_out), measure(images, before, held_out).held_out_fre_ratio, seconds
