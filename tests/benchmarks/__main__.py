"""``make bench``: measures speed and memory on this machine and prints tables. Never part of the tests.

Figures are comparable only within one run: each table has the peers side by side. ``ARGS="pca engines"`` for some.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from tests.benchmarks import (
    auroc_interval,
    cost,
    default_setting,
    detectors,
    differences,
    engines,
    false_alarms,
    finetune,
    finetune_settings,
    finetune_speed,
    int8,
    pca,
    pipeline,
    precision,
    predict,
    preload,
    serving,
    small_sets,
    sources,
    sources_kills,
    start,
)
from tests.benchmarks import compile as compiling
from tests.benchmarks.peers import comparison

BENCHMARKS: dict[str, Callable[[], None]] = {
    "pca": pca.main,
    "engines": engines.main,
    "precision": precision.main,
    "predict": predict.main,
    "start": start.main,
    "int8": int8.main,
    "cost": cost.main,
    "serving": serving.main,
    "serving_soak": serving.soak,
    "pipeline": pipeline.main,
    "compile": compiling.main,
    "default_setting": default_setting.main,
    "detectors": detectors.main,
    "false_alarms": false_alarms.main,
    "small_sets": small_sets.main,
    "differences": differences.main,
    "finetune_speed": finetune_speed.main,
    "finetune": finetune.main,
    "finetune_settings": finetune_settings.main,
    "preload": preload.main,
    "auroc_interval": auroc_interval.main,
    "peers": comparison.main,
    "sources_archive": sources.archive,
    "sources_objects": sources.objects,
    "sources_pack": sources.pack,
    "sources_kills": sources_kills.main,
}
# run only when they are named: they take hours, or need an environment of their own
NAMED = {"finetune_settings", "auroc_interval", "peers", "serving_soak"}
GROUPS = {"sources": [name for name in BENCHMARKS if name.startswith("sources_")]}


def main(names: list[str]) -> int:
    names = [one for name in names for one in GROUPS.get(name, [name])]
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"error: unknown benchmark '{unknown[0]}': known: {', '.join([*BENCHMARKS, *GROUPS])}", file=sys.stderr)
        return 2
    for name in names or [one for one in BENCHMARKS if one not in NAMED]:
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
