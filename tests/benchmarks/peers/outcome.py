"""What a contestant of the comparison says of itself: a JSON file. Needs no package: contestants have other ones."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class Phase:
    """A part of the work: by the clock, and in processor time on all cores, with the processes that it started."""

    seconds: float = 0.0
    processor: float = 0.0


@dataclass
class Outcome:
    """Of one run of a contestant."""

    phases: dict[str, Phase] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure a part; what is measured twice under one name is added."""
        begin, before = time.perf_counter(), processor_time()
        yield
        one = self.phases.setdefault(name, Phase())
        one.seconds += time.perf_counter() - begin
        one.processor += processor_time() - before

    def total(self, *names: str) -> Phase:
        """Several parts as one."""
        chosen = [self.phases[name] for name in names]
        return Phase(sum(one.seconds for one in chosen), sum(one.processor for one in chosen))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), "utf-8")


def processor_time() -> float:
    """Of this process and of the ones that it started and that ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def read(path: Path) -> Outcome:
    """What ``Outcome.write`` wrote."""
    found = json.loads(path.read_text("utf-8"))
    return Outcome({name: Phase(**one) for name, one in found["phases"].items()}, found["figures"])


def best(outcomes: Sequence[Outcome]) -> Outcome:
    """The shortest time of each phase, and the lowest of each figure: what other load on the machine affects least."""
    phases = {
        name: Phase(
            min(one.phases[name].seconds for one in outcomes), min(one.phases[name].processor for one in outcomes)
        )
        for name in outcomes[0].phases
    }
    return Outcome(phases, {name: min(one.figures[name] for one in outcomes) for name in outcomes[0].figures})
