"""One photograph at a time with a file that anomalib exported, in a warm process. Run with the peers' interpreter."""

from __future__ import annotations

import sys
from pathlib import Path

from anomalib.deploy import OpenVINOInferencer

from tests.benchmarks.peers import photographs
from tests.benchmarks.peers.one_photograph import time_each


def main(exported: Path, folder: Path, threads: int, output: Path) -> None:
    (file,) = exported.rglob("*.xml")
    inferencer = OpenVINOInferencer(file, "CPU", {"INFERENCE_NUM_THREADS": threads})
    time_each({"anomalib": inferencer.predict}, photographs.test(folder)[0]).write(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
