"""Some cells of ELPV as a folder that the pipeline reads; they come from the package and are not kept."""

from __future__ import annotations

from pathlib import Path

from elpv_dataset.utils import load_dataset
from PIL import Image

from tests.conftest import save


def write_elpv(root: Path, *, train: int, test: int) -> Path:
    """One category per kind of cell: ``train`` good cells to learn from, ``test`` good and as many defective ones."""
    images, probabilities, types = load_dataset()
    for category in ("mono", "poly"):
        good, defective = (images[(types == category) & (probabilities == p)] for p in (0, 1))
        folders = {
            "train/good": good[:train],
            "test/good": good[train : train + test],
            "test/defective": defective[:test],
        }
        for folder, chosen in folders.items():
            for number, image in enumerate(chosen):
                save(root / category / folder / f"{number:03d}.png", Image.fromarray(image))
    return root
