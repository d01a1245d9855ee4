"""How long the steps of a run will take: what they took in earlier runs whose work was the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vqi.errors import VqiError
from vqi.redaction import redacted_value
from vqi_pipelines.local.run_record import RunRecord, read_run
from vqi_pipelines.local.state import DONE
from vqi_pipelines.runs.listing import folders_in

_MOST = 10  # runs that are looked at
# Parameters of the training pipeline that change a result and not how long it takes; `categories` is in the labels.
_OF_GATE = ("gate", "max_regression", "min_auroc")
_NO_WORK = frozenset(("accept_license", "categories", "retrain_if", "seed", "split_seed", "target_fpr", *_OF_GATE))


def expected_of(runs_dir: Path, pipeline: str, parameters: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of each step, by label, as the last run had it that did not take its result from the cache.

    Runs with other parameters do not count, as they may do other work; where there is none, nothing is known.
    """
    wanted = _work(redacted_value(dict(parameters)))
    found: dict[str, float] = {}
    try:
        folders = folders_in(runs_dir)
    except VqiError:  # there is none yet
        return {}
    for folder in folders[:_MOST]:
        try:
            record: RunRecord = read_run(folder)
        except VqiError:  # no run, or damaged: it tells nothing
            continue
        if record.pipeline == pipeline and _work(record.parameters) == wanted:
            for label, task in record.tasks.items():
                if task.state == DONE:
                    found.setdefault(label, task.seconds)
    return found


def _work(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in _NO_WORK}
