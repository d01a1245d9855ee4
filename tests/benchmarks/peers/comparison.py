"""vqi beside anomalib and beside the reference kit's algorithm: the same photographs, network, weights and threads.

The peers have an environment of their own, which ``tests/benchmarks/peers/environment build/peers`` makes;
VQI_BENCH_PEERS names another folder. Each contestant runs in a process of its own, one after the other, in
VQI_BENCH_ROUNDS rounds (3), of which the best counts; anomalib's PatchCore, which takes longest, runs once.
VQI_BENCH_PATCHCORE_SIZE is the size of its images (224). Its time grows with the square of their area: two cores that
take a quarter of an hour for that take nearly twice as long for 256 px, anomalib's own, and an hour for 320 px.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save_file

from tests.benchmarks.measure import Cost, command_cost, table, vqi
from tests.benchmarks.peers import outcome
from tests.benchmarks.peers.outcome import Outcome, Phase
from vqi.datasets import elpv
from vqi.network.embedded import EMBEDDED
from vqi.network.engines import choose
from vqi.system.processor import threads

ROOT = Path(__file__).parents[3]
CATEGORY = "mono"
SIZE, PEERS_SIZE, KIT_SIZE = 320, 256, 224  # of vqi, of anomalib and of the reference kit, each by default
OURS = [f"vqi {kind} {SIZE}" for kind in ("ensemble", "pca")]
PEERS = [
    f"reference {SIZE}", f"reference {KIT_SIZE}",
    *(f"{name} {size}" for name in ("dfm", "padim") for size in (SIZE, PEERS_SIZE)),
]  # fmt: skip
FIT, SCORE = ("read to fit", "network to fit", "fit"), ("read to score", "network to score", "score")
DFM_TIMES, REFERENCE_TIMES, PATCHCORE_TIMES = 3.0, 8.0, 5.0  # what vqi is to be faster by
INFERENCER_TIMES, ALONE_TIMES, ONE_MS, SCORING_TIMES, MEMORY_MB = 5.0, 1.3, 8.0, 1.5, 3000


class Target(NamedTuple):
    """What vqi aims at, and what came out."""

    what: str
    aim: str
    got: str
    holds: bool


@dataclass
class Runs:
    """Of one contestant."""

    costs: list[Cost] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def cost(self) -> Cost:
        """The best of each figure, and the most memory."""
        return Cost(
            min(one.seconds for one in self.costs),
            max(one.peak_mb for one in self.costs),
            min(one.processor for one in self.costs),
        )

    @property
    def outcome(self) -> Outcome:
        return outcome.best(self.outcomes)


class Bench:
    """The contestants and what they did, in a folder of its own.

    Args:
        folder: Empty.
        python: The peers' interpreter.
    """

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder, self.python = folder, python
        self.photographs, self.weights = folder / "photographs", folder / "weights.safetensors"
        self.runs: dict[str, Runs] = {}
        self.store = folder / "store"
        # one number of threads for all; vqi reads a variable of its own
        count = str(threads())
        self.environment = os.environ | {
            "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count,
            "OPENBLAS_NUM_THREADS": count, "VQI_THREADS": count,
        }  # fmt: skip
        _write_photographs(self.photographs)
        _write_weights(self.weights)

    def train(self, number: int) -> None:
        """vqi's whole pipeline, from nothing to the report and the published model."""
        store = self.store if number == 0 else self.folder / f"store-{number}"
        runs = self.folder / f"runs-{number}"
        command = vqi(
            "run", "--runs-dir", str(runs), "--store", str(store), "-p", f'categories=["{CATEGORY}"]',
            "-p", f"image_size={SIZE}",
        )  # fmt: skip
        cost = command_cost(command, env=self.environment, cwd=self.folder)
        (metrics,) = store.glob(f"models/elpv/{CATEGORY}/v*/metrics.json")
        found = Outcome(figures={"auroc": json.loads(metrics.read_text("utf-8"))["image_auroc"]})
        self._keep("vqi run", cost, found)

    def export(self) -> str:
        """The published model as a file, in the precision that ``auto`` takes here."""
        precision = choose("auto", "auto").precision
        model, to = str(self.store / "models/elpv" / CATEGORY), str(self.folder / "exported")
        command_cost(vqi("export", model, "--to", "openvino", "--precision", precision, "-o", to))
        return precision

    def ours(self, name: str, module: str, *arguments: object) -> None:
        self._run(name, Path(sys.executable), module, *arguments)

    def theirs(self, name: str, module: str, *arguments: object) -> None:
        self._run(name, self.python, module, *arguments)

    def _run(self, name: str, python: Path, module: str, *arguments: object) -> None:
        output = self.folder / "outcome.json"
        output.unlink(missing_ok=True)
        given = [str(output) if one is OUTPUT else str(one) for one in arguments]
        command = [str(python), "-m", f"tests.benchmarks.peers.{module}", *given]
        cost = command_cost(command, env=self.environment, cwd=self.folder)
        self._keep(name, cost, outcome.read(output))

    def _keep(self, name: str, cost: Cost, found: Outcome) -> None:
        runs = self.runs.setdefault(name, Runs())
        runs.costs.append(cost)
        runs.outcomes.append(found)
        print(f"  {name}: {cost}, {found}", file=sys.stderr, flush=True)


OUTPUT = object()  # stands for the file that a contestant writes


def main() -> None:
    python = Path(os.environ.get("VQI_BENCH_PEERS", ROOT / "build/peers")) / "bin/python"
    if not python.exists():
        sys.exit("the peers are not installed: tests/benchmarks/peers/environment build/peers")
    rounds = int(os.environ.get("VQI_BENCH_ROUNDS", "3"))
    coarse = int(os.environ.get("VQI_BENCH_PATCHCORE_SIZE", KIT_SIZE))
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name).resolve(), python.absolute())
        for number in range(rounds):
            _round(bench, number)
        precision = bench.export()
        for _ in range(rounds):
            _one_photograph(bench)
        _show_reports(bench.runs, rounds)
        _show_parts(bench.runs, [*OURS, *PEERS], f"best of {rounds}")
        _show_one(bench.runs, precision, rounds)
        bench.ours(f"vqi ensemble {coarse}", "vqi_parts", "ensemble", bench.photographs, coarse, OUTPUT)
        _detector(bench, "patchcore", coarse)
    _show_parts(bench.runs, [OURS[0], f"vqi ensemble {coarse}", f"patchcore {coarse}"], "PatchCore once")
    rows = [[one.what, one.aim, one.got, "yes" if one.holds else "no"] for one in targets(bench.runs, coarse)]
    table("What vqi aims at", ["", "aim", "measured", "holds"], rows)


def _round(bench: Bench, number: int) -> None:
    """Everything from the photographs to the figures, once."""
    bench.train(number)
    for size in (SIZE, KIT_SIZE):
        bench.theirs(f"reference {size}", "reference", bench.photographs, bench.weights, size, OUTPUT)
    for kind in ("ensemble", "pca"):
        bench.ours(f"vqi {kind} {SIZE}", "vqi_parts", kind, bench.photographs, SIZE, OUTPUT)
    for size in (SIZE, PEERS_SIZE):
        for name in ("dfm", "padim"):
            _detector(bench, name, size)


def _detector(bench: Bench, name: str, size: int) -> None:
    exported = bench.folder / f"{name}-{size}"
    more = [] if name == "patchcore" or exported.exists() or size != SIZE else [exported]
    bench.theirs(
        f"{name} {size}", "anomalib_detectors", name, bench.photographs, bench.weights, size, OUTPUT, *more
    )  # fmt: skip


def _one_photograph(bench: Bench) -> None:
    """Warm processes, in turns."""
    model = bench.store / "models/elpv" / CATEGORY
    bench.ours("one", "vqi_one_photograph", model, bench.folder / "exported", bench.photographs, OUTPUT)
    for name in ("dfm", "padim"):
        exported = bench.folder / f"{name}-{SIZE}"
        bench.theirs(f"one {name}", "anomalib_inferencer", exported, bench.photographs, threads(), OUTPUT)


LABELS = {
    "reference": "the reference's algorithm",
    "dfm": "anomalib DFM",
    "padim": "anomalib PaDiM",
    "patchcore": "anomalib PatchCore, 10 %",
}


def _label(name: str) -> str:
    kind, _, size = name.rpartition(" ")
    return f"{LABELS.get(kind, kind)}, {size} px"


def _show_reports(runs: dict[str, Runs], rounds: int) -> None:
    own, rows = runs["vqi run"].cost, []
    for name in ("vqi run", *PEERS):
        cost, auroc = runs[name].cost, runs[name].outcome.figures["auroc"]
        rows.append(
            [f"`vqi run`, {SIZE} px" if name == "vqi run" else _label(name), f"{cost.seconds:.1f} s",
             f"{cost.seconds / own.seconds:.1f}x", f"{cost.processor:.1f} s", f"{cost.processor / own.processor:.1f}x",
             f"{cost.peak_mb:.0f} MB", f"{auroc:.3f}"]
        )  # fmt: skip
    heads = ["", "time", "of vqi's", "processor time", "of vqi's", "most memory", "image AUROC"]
    table(f"From nothing to the report on ELPV {CATEGORY}, start included, best of {rounds}", heads, rows)


def _parts_of(name: str, runs: dict[str, Runs]) -> tuple[Phase, Phase]:
    """Fit and score, both from the files on; vqi's network is compiled in the fit."""
    found = runs[name].outcome
    if name.startswith("vqi"):
        return found.total("compile", *FIT), found.total(*SCORE)
    return found.phases["fit"], found.phases["score"]


def _show_parts(runs: dict[str, Runs], names: Sequence[str], how_often: str) -> None:
    own, rows = _parts_of(OURS[0], runs), []
    for name in dict.fromkeys(names):
        row: list[object] = [_label(name)]
        for one, of in zip(_parts_of(name, runs), own, strict=True):
            row += [f"{one.seconds:.1f} s", f"{one.processor:.1f} s", f"{one.processor / of.processor:.1f}x"]
        found = runs[name].outcome
        alone = f"{found.phases['fit'].processor:.1f} s" if name.startswith("vqi") else ""
        rows.append([*row, alone, f"{runs[name].cost.peak_mb:.0f} MB", f"{found.figures['auroc']:.3f}"])
    heads = ["", "fit", "processor time", "of vqi's", "score", "processor time", "of vqi's",
             "the detector's part of the fit, processor time", "most memory", "image AUROC"]  # fmt: skip
    table(f"Fit and scoring, from the files on, in one process, {how_often}", heads, rows)


def _show_one(runs: dict[str, Runs], precision: str, rounds: int) -> None:
    ours, rows = runs["one"].outcome.figures, []
    shown = [
        ("the network alone", "one", "network"), ("vqi, published model", "one", "model"),
        (f"vqi, exported file ({precision})", "one", "exported"), ("anomalib DFM", "one dfm", "anomalib"),
        ("anomalib PaDiM", "one padim", "anomalib"),
    ]  # fmt: skip
    for label, name, call in shown:
        found = runs[name].outcome.figures
        cells = [f"{found[f'{call} {figure}']:.1f} ms" for figure in ("p50", "p99", "processor")]
        ratios = [f"{found[f'{call} {one}'] / ours[f'model {one}']:.2f}x" for one in ("p50", "processor")]
        rows.append([label, *cells[:2], ratios[0], cells[2], ratios[1]])
    heads = ["", "p50", "p99", "of vqi's", "processor time", "of vqi's"]
    table(f"One PNG of 300 x 300 pixels in a warm process, {SIZE} px, best of {rounds}", heads, rows)


def targets(runs: dict[str, Runs], coarse: int) -> list[Target]:
    """What vqi aims at, and whether it holds."""
    own, whole = runs["vqi run"].cost, runs[f"vqi ensemble {SIZE}"].outcome
    one = runs["one"].outcome.figures
    inferencer = min(runs[f"one {name}"].outcome.figures["anomalib p50"] for name in ("dfm", "padim"))
    patchcore = runs[f"patchcore {coarse}"].outcome
    fit, tested = _parts_of(f"vqi ensemble {SIZE}", runs)
    same_size = _parts_of(f"vqi ensemble {coarse}", runs)[0]
    equal = whole.figures["auroc"] >= patchcore.figures["auroc"]
    found = [
        _at_least(f"{what} / vqi run, processor time", aim, runs[f"{name} {size}"].cost.processor / own.processor)
        for name, what, aim in (
            ("reference", "the reference's algorithm", REFERENCE_TIMES), ("dfm", "anomalib's DFM", DFM_TIMES)
        )
        for size in (SIZE,)
    ]  # fmt: skip
    found += [
        _at_least("PatchCore's fit / vqi's, processor time", PATCHCORE_TIMES,
                  patchcore.phases["fit"].processor / fit.processor),
        _at_least(f"the same, vqi at {coarse} px too", PATCHCORE_TIMES,
                  patchcore.phases["fit"].processor / same_size.processor),
        Target("vqi's AUROC, PatchCore's", "equal or better",
               f"{whole.figures['auroc']:.3f}, {patchcore.figures['auroc']:.3f}", equal),
        _at_most("scoring after reading / the network alone, processor time", SCORING_TIMES,
                 (tested.processor - whole.phases["read to score"].processor)
                 / whole.phases["network to score"].processor),
        Target("most memory of vqi run", f"under {MEMORY_MB} MB", f"{own.peak_mb:.0f} MB", own.peak_mb < MEMORY_MB),
    ]  # fmt: skip
    for call in ("model", "exported"):
        p50 = one[f"{call} p50"]
        found += [
            Target(f"one photograph, {call}, p50", f"under {ONE_MS:.0f} ms", f"{p50:.1f} ms", p50 < ONE_MS),
            _at_most(f"one photograph, {call} / the network alone, p50", ALONE_TIMES, p50 / one["network p50"]),
            _at_least(f"anomalib's faster inferencer / vqi, {call}, p50", INFERENCER_TIMES, inferencer / p50),
        ]
    return found


def _at_least(what: str, aim: float, got: float) -> Target:
    return Target(what, f"at least {aim:.0f}x", f"{got:.1f}x", got >= aim)


def _at_most(what: str, aim: float, got: float) -> Target:
    return Target(what, f"at most {aim:.1f}x", f"{got:.2f}x", got <= aim)


def _write_photographs(folder: Path) -> None:
    for entry in elpv.split(elpv.read_labels(elpv.locate()), CATEGORY):
        path = folder / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(entry.read())


def _write_weights(path: Path) -> None:
    weights = EMBEDDED["timm/tf_efficientnet_lite0"].read()
    save_file({name: np.ascontiguousarray(array) for name, array in weights.items()}, path)
