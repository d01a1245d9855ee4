"""Makes the pages of the site's gallery: ``python docs/gallery.py FOLDER``; ``make gallery`` runs it.

It runs the pipeline on the embedded dataset in FOLDER, and copies the pages that a run writes to FOLDER/pages. They
show photographs whose licence is not ours: nothing of it belongs into the repository.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PAGES = "pages"
# The pages by their place in the folder of a run, with what they show; * is a category.
SHOWN = {
    "table.html": "the table of all categories",
    "*/publish/decided_report.html": "the report: figures, threshold, mistakes, anomaly maps, the gate's decision",
    "*/preprocess/data_page.html": "the data page: what the photographs are, and what is wrong with them",
    "models.html": "the models page: versions over time, and the champion's history",
}


def main() -> int:
    """Run the pipeline, and collect the pages."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a folder for the run and the pages")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    vqi = Path(sys.executable).with_name("vqi").absolute()  # not resolved: it belongs to the environment
    everything = ["-p", "retrain_if=always"]  # else a category that did not change has no pages
    subprocess.run([vqi, "run", *everything, "--runs-dir", "runs", "--store", "store"], cwd=folder, check=True)
    collect(folder / "runs" / "latest", folder / PAGES)
    return 0


def collect(run: Path, to: Path) -> None:
    """Copy the pages of a run into a folder that replaces an older one.

    Raises:
        FileNotFoundError: The run wrote none of a kind.
    """
    shutil.rmtree(to, ignore_errors=True)
    for pattern in SHOWN:
        found = sorted(run.glob(pattern))
        if not found:
            raise FileNotFoundError(f"{run}: expected {pattern}, which a whole run writes")
        for page in found:
            target = to / page.relative_to(run)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(page, target)


def pages(folder: Path) -> Iterator[tuple[Path, str]]:
    """The pages in a folder: the place of each, and what it shows."""
    for pattern, said in SHOWN.items():
        for page in sorted(folder.glob(pattern)):
            place = page.relative_to(folder)
            yield place, said if place == Path(pattern) else f"{place.parts[0]}, {said}"


if __name__ == "__main__":
    sys.exit(main())
