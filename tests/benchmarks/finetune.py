"""What fine-tuning does: image AUROC on ELPV by method, over three seeds, with the time that training takes.

The settings are those of the parameter files, which take the reference's detector; the measures are those of the
pipeline's steps.
"""

from __future__ import annotations

import itertools
import tempfile
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.benchmarks.measure import table
from vqi.artifacts.features import FeatureMaps
from vqi.artifacts.images import Images, load_images
from vqi.config import FeatureExtract, PcaFit, Preprocess, SslFinetune, defaults
from vqi.datasets import elpv
from vqi.datasets.layout import Shard
from vqi.detectors.comparison import Suitability, suitability
from vqi.digests import sha256_file
from vqi.network.backbones import Backbone
from vqi.network.building import build
from vqi.network.engines import choose
from vqi.network.extraction import Extractor
from vqi.preparation.images import prepare
from vqi.self_supervised.methods import finetune

Maps = tuple[FeatureMaps, FeatureMaps]  # of the train and of the test images

SEEDS = (0, 1, 2)
LAYER, SIDE, DETECTOR = "blocks.5", 224, PcaFit(kind="pca", scaling="raw", aggregate=1)
CATEGORIES = ("mono", "poly")
PARAMETERS = Path(__file__).parents[2] / "pipelines" / "params"
METHODS: dict[str, tuple[str, dict[str, Any]]] = {  # parameter file, other keys of finetune
    "SimSiam": ("elpv_simsiam.yaml", {}),
    "CutPaste normal": ("elpv_cutpaste.yaml", {"variant": "normal"}),
    "CutPaste 3way": ("elpv_cutpaste.yaml", {}),
}


def main() -> None:
    columns = [_column(name) for name in CATEGORIES]
    rows = [
        [method, *itertools.chain(*cells)] for method, *cells in zip(["pretrained", *METHODS], *columns, strict=True)
    ]
    heads = ["method", *(f"{name} {what}" for name in CATEGORIES for what in ("image AUROC", "FRE ratio", "training"))]
    table(f"ELPV by method of fine-tuning: mean (least to most) over seeds {SEEDS}", heads, rows)


def _column(category: str) -> list[list[str]]:
    """The cells of a category: three per method, that of the parent first."""
    with tempfile.TemporaryDirectory() as folder:
        images = _images(category, Path(folder))
    parent = build(defaults(SslFinetune).backbone_name, "pretrained")
    before = maps_of(images, parent)
    column = [[f"{measure(images, before, [0, 1]).image_auroc:.4f}", "", ""]]
    for method, (file, other) in METHODS.items():
        runs = []
        for seed in SEEDS:
            runs.append(_run(images, parent, before, settings_of(file, other, seed)))
            print(f"{method}, {category}, seed {seed}: image AUROC {runs[-1][0].image_auroc:.4f}", flush=True)
        figures, befores, seconds = zip(*runs, strict=True)
        aurocs = [one.image_auroc for one in figures]
        ratio = np.mean([one.held_out_fre_ratio / b for one, b in zip(figures, befores, strict=True)])
        spread = f"{np.mean(aurocs):.4f} ({min(aurocs):.4f} to {max(aurocs):.4f})"
        column.append([spread, f"{ratio:.2f}x", f"{np.mean(seconds):.0f} s"])
    return column


def _images(category: str, folder: Path) -> Images:
    """What ``preprocess`` makes of a category."""
    entries = elpv.split(elpv.read_labels(elpv.locate()), category)
    shard = folder / f"{category}.zip"
    with zipfile.ZipFile(shard, "w") as file:
        for entry in entries:
            file.writestr(entry.path, entry.read())
    given = defaults(Preprocess)
    prepare(
        Shard(shard, sha256_file(shard)),
        folder / "images",
        category,
        SIDE,
        given.max_bad_fraction,
        given.max_pixels,
    )
    images = load_images(folder / "images")
    return replace(images, images=np.array(images.images))  # in memory: the file is removed


def settings_of(file: str, other: dict[str, Any], seed: int) -> SslFinetune:
    """The settings of a parameter file, with other keys of ``finetune`` and a seed."""
    given = yaml.safe_load((PARAMETERS / file).read_text())
    keys = {**given["finetune"], **other}
    return SslFinetune(method=given["method"], epochs=given["epochs"], layer=LAYER, finetune=keys, seed=seed)


def maps_of(images: Images, backbone: Backbone) -> Maps:
    """The feature maps of the train and of the test images, as ``feature_extract`` computes them."""
    given = FeatureExtract(layer=LAYER)
    runtime = choose(given.engine, given.precision)
    maps = Extractor(backbone, given.layers, given.pool, given.batch_size, runtime).extract(images.images)
    return maps.rows(images.rows("train")), maps.rows(images.rows("test"))


def measure(images: Images, maps: Maps, held_out: list[int]) -> Suitability:
    """Image AUROC and held-out FRE ratio; ``held_out`` are rows among the training images."""
    labels = np.array([images.index[row].label for row in images.rows("test")])
    return suitability(*maps, labels, held_out, DETECTOR)


def _run(images: Images, parent: Backbone, before: Maps, settings: SslFinetune) -> tuple[Suitability, float, float]:
    """The fine-tuned backbone's figures, its parent's FRE ratio on the same held-out images, and the seconds."""
    begin = time.perf_counter()
    tuned = finetune(parent, images, settings)
    seconds = time.perf_counter() - begin
    places = {row: place for place, row in enumerate(images.rows("train"))}
    held_out = [places[row] for row in tuned.held_out]
    after = maps_of(images, tuned.backbone)
    return measure(images, after, held_out), measure(images, before, held_out).held_out_fre_ratio, seconds
