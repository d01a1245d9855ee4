"""Real photographs for tests: solar cells, from the package that embeds them."""

import random
import shutil
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path


def copy_elpv(root: Path, kinds: Sequence[str], train: int, good: int, defective: int) -> None:
    """A slice of the solar cells as folders: probability 0 is good, 1.0 is defective."""
    package = Path(str(files("elpv_dataset")))
    (labels,) = package.rglob("labels.csv")
    chosen = random.Random(1)
    for kind in kinds:
        rows = [line.split() for line in labels.read_text().splitlines() if line.split()[-1] == kind]
        groups = {
            probability: sorted(row[0] for row in rows if float(row[1]) == probability) for probability in (0.0, 1.0)
        }
        for names in groups.values():
            chosen.shuffle(names)
        placed = {
            "train/good": groups[0.0][:train],
            "test/good": groups[0.0][train : train + good],
            "test/defective": groups[1.0][:defective],
        }
        for place, names in placed.items():
            (root / kind / place).mkdir(parents=True)
            for name in names:
                shutil.copy(labels.parent / name, root / kind / place)
