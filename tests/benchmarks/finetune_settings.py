"""How the default settings of fine-tuning were chosen: without any image of the test set.

As in ``default_setting``, cells of which the labellers were not sure are used as defects, and good training images
that trained neither the backbone nor PCA as good ones. Each row changes one setting of the parameter file; its figures
are image AUROC minus that of the pretrained weights on the same images, with one training per fold.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.default_setting import development_images
from tests.benchmarks.finetune import CATEGORIES, SIDE, maps_of, measure, settings_of
from tests.benchmarks.measure import table
from tests.vqi.made import images_record
from vqi.artifacts.images import Images, IndexRow
from vqi.config import SslFinetune, defaults
from vqi.network.building import build
from vqi.self_supervised.methods import finetune

FOLDS, PARTS = 2, 4  # folds that are computed, of those that the good images are cut into

Change = dict[str, Any]  # of finetune; `epochs` is the step's own

CUTPASTE: dict[str, Change] = {
    "as the parameter file": {},
    "variant normal": {"variant": "normal"},
    "variant scar": {"variant": "scar"},
    "variant union": {"variant": "union"},
    "lr 1e-4": {"lr": 1e-4},
    "lr 5e-4": {"lr": 5e-4},
    "lr 3e-3": {"lr": 3e-3},
    "SGD, lr 0.01": {"optimizer": "sgd", "lr": 0.01},
    "SGD, lr 0.03": {"optimizer": "sgd", "lr": 0.03},
    "SGD, lr 0.1": {"optimizer": "sgd", "lr": 0.1},
    "SGD, lr 0.3": {"optimizer": "sgd", "lr": 0.3},
    "8 epochs": {"epochs": 8},
    "freeze_epochs 0": {"freeze_epochs": 0},
    "freeze_epochs 3 of 6": {"freeze_epochs": 3, "epochs": 6},
    "head of 1 layer": {"head_layers": 1},
    "head of 4 layers": {"head_layers": 4},
    "two stages train": {"frozen_up_to": "blocks.3"},
    "batch_norm train": {"batch_norm": "train"},
    "no jitter of patches": {"patch_jitter": 0},
    "jitter of patches 0.3": {"patch_jitter": 0.3},
    "patches of 0.5 to 2 %": {"patch_area": [0.005, 0.02]},
    "scars like cracks": {"scar_width": [1, 4], "scar_length": [20, 90], "scar_rotation": 180},
}
SIMSIAM: dict[str, Change] = {
    "as the parameter file": {},
    "lr 0.05": {"lr": 0.05},
    "lr 1": {"lr": 1},
    "AdamW, lr 8e-4": {"optimizer": "adamw", "lr": 8e-4},  # for a batch of 256, like all of these
    "AdamW, lr 8e-3": {"optimizer": "adamw", "lr": 8e-3},
    "9 epochs": {"epochs": 9},
    "batch_size 64": {"batch_size": 64},
    "projection_width 512": {"projection_width": 512, "prediction_width": 128},
    "two stages train": {"frozen_up_to": "blocks.3"},
    "batch_norm train": {"batch_norm": "train"},
    "crop_min_scale 0.2": {"crop_min_scale": 0.2},
    "crop_min_scale 0.8": {"crop_min_scale": 0.8},
    "no flip": {"flip": 0},
    "no jitter": {"jitter": 0},
    "no blur": {"blur": 0},
}
METHODS = {"CutPaste": ("elpv_cutpaste.yaml", CUTPASTE), "SimSiam": ("elpv_simsiam.yaml", SIMSIAM)}


def main() -> None:
    """Print one table per method."""
    folds = {category: [_fold(category, number) for number in range(FOLDS)] for category in CATEGORIES}
    parent = build(defaults(SslFinetune).backbone_name, "pretrained")
    before = {
        category: [measure(one, maps_of(one, parent), [0, 1]).image_auroc for one in given]
        for category, given in folds.items()
    }
    heads = ["setting", *CATEGORIES, "mean"]
    for method, (file, changes) in METHODS.items():
        rows = []
        for name, change in changes.items():
            gains = []
            for category, given in folds.items():
                after = [_after(one, settings(file, change, seed)) for seed, one in enumerate(given)]
                gains.append(np.mean(after) - np.mean(before[category]))
            rows.append([name, *(f"{gain:+.4f}" for gain in (*gains, np.mean(gains)))])
            print(f"{method}, {': '.join([name, ' '.join(rows[-1][1:])])}", flush=True)
        began = " and ".join(f"{np.mean(one):.3f} on {category}" for category, one in before.items())
        table(f"{method}: change of image AUROC on development images, from {began}", heads, rows)


def settings(file: str, change: Change, seed: int) -> SslFinetune:
    """The settings of a parameter file with one of them changed."""
    other = {name: value for name, value in change.items() if name != "epochs"}
    given = settings_of(file, other, seed)
    return given.model_copy(update={"epochs": change.get("epochs", given.epochs)})


def _after(images: Images, given: SslFinetune) -> float:
    """Image AUROC after a training."""
    backbone = finetune(build(given.backbone_name, given.weights), images, given).backbone
    figure = measure(images, maps_of(images, backbone), [0, 1]).image_auroc
    assert figure is not None
    return figure


def _fold(category: str, number: int) -> Images:
    """A quarter of the good images and the doubtful ones as test images; the other good ones train."""
    good, doubtful = development_images(category, SIDE)
    order = np.random.default_rng(0).permutation(len(good))
    held_out = set(np.array_split(order, PARTS)[number].tolist())
    index = [
        IndexRow(f"good/{i}", "test" if i in held_out else "train", 0, "good", None, "", 0, 0) for i in range(len(good))
    ]
    index += [IndexRow(f"doubtful/{i}", "test", 1, "doubtful", None, "", 0, 0) for i in range(len(doubtful))]
    return Images(np.concatenate([good, doubtful]), np.zeros((0, *good.shape[1:3]), np.bool_), index, images_record())
