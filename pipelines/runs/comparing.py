"""Two runs of the training pipeline: settings, figures, and the test images that they judge otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from vqi.artifacts.images import INDEX_FILE, read_index
from vqi.artifacts.metrics import Summary
from vqi.artifacts.scores import SCORES_FILE, ScoreRow, read_scores
from vqi.errors import VqiError
from vqi.intervals import COVERAGE
from vqi.models.paired import Said, Scores, drawn_again
from vqi.pages.comparison_page import Change, Changed, Compared, Comparison, Difference, Figure, Kind, Side
from vqi.recipe import differences
from vqi.store.opening import fetch_uri
from vqi.system.scratch import scratch_folder
from vqi_pipelines.ir.values import to_text
from vqi_pipelines.local.task_record import read_task
from vqi_pipelines.runs.categories import DATA, DECIDES, MEASURES, Category
from vqi_pipelines.runs.listing import Run

Made = TypeVar("Made")

_NOT_GIVEN = "not a parameter"
_FIGURES: tuple[tuple[str, str, Kind], ...] = (
    ("image_auroc", "image AUROC", "area"),
    ("recall", "recall", "rate"),
    ("false_alarm_rate", "false alarms", "rate"),
    ("accuracy", "accuracy", "rate"),
    ("pixel_auroc", "pixel AUROC", "area"),
    ("aupro", "AUPRO", "area"),
)


@dataclass(frozen=True)
class _Measured:
    """A category of a run, with its figures."""

    run: Run
    of: Category
    row: Summary


@dataclass(frozen=True)
class _Matched:
    """Test images that both runs have, with the same label."""

    rows: list[tuple[ScoreRow, ScoreRow]]  # of A and B
    only_a: int
    only_b: int
    relabelled: int
    by: str


def compare(a: Run, b: Run) -> Comparison:
    """What differs between two runs.

    Raises:
        VqiError: One of them has no category with figures, or is damaged.
    """
    for run in (a, b):
        if run.problem:
            raise VqiError(f"{run.name}: {run.problem}")
    of_a, of_b = (
        {one.name: _Measured(run, one, one.row) for one in run.categories if one.row is not None} for run in (a, b)
    )
    for run, measured in ((a, of_a), (b, of_b)):
        if not measured:
            wanted = "expected a run of the training pipeline with figures"
            raise VqiError(f"{run.name}: {wanted}, got one without: pipeline {run.record.pipeline}, {run.state}")
    return Comparison(
        _side(a),
        _side(b),
        tuple(_settings(a, b)),
        tuple(_category(one, of_b[name]) for name, one in of_a.items() if name in of_b),
        tuple(name for name in of_a if name not in of_b),
        tuple(name for name in of_b if name not in of_a),
    )


def _side(run: Run) -> Side:
    started = f"{run.started:%Y-%m-%d %H:%M} UTC" if run.started else "time not known"
    return Side(run.name, started, run.state, run.note.text, run.note.tags)


# ------------------------------------------------------------------------------------------------------------ settings


def _settings(a: Run, b: Run) -> Iterator[Difference]:
    """The settings that differ; also the dataset, and the code, where the steps noted them."""
    given_a, given_b = a.record.parameters, b.record.parameters
    for name in sorted({*given_a, *given_b}):
        old, new = (to_text(given[name]) if name in given else _NOT_GIVEN for given in (given_a, given_b))
        if old != new:
            yield Difference(name, old, new)
    noted_a, noted_b = _noted(a), _noted(b)
    if not noted_a or not noted_b:
        return
    old, new = (str(noted.get("dataset", "")).rpartition("/")[2] for noted in (noted_a, noted_b))
    if old != new:
        yield Difference("dataset", old, new)
    old, new = (str(noted.get("recipe", "")) for noted in (noted_a, noted_b))
    if "code" in differences(old, new):
        yield Difference("code of vqi", *(recipe.partition(".")[2] for recipe in (old, new)))


def _noted(run: Run) -> Mapping[str, Any]:
    """What a run gave its last step of a category; nothing where it came to none."""
    decided = [one for one in run.categories if one.decision]
    return read_task(run.folder / decided[0].folder / DECIDES).parameters if decided else {}


# ------------------------------------------------------------------------------------------------------------- figures


def _category(a: _Measured, b: _Measured) -> Compared:
    name, limits = a.of.name, (a.row.threshold, b.row.threshold)
    note, found = "", None
    untrained = [letter for letter, one in (("A", a), ("B", b)) if not one.of.trained]
    if untrained:
        note = f"{' and '.join(untrained)} did not train it: the figures are of a model that was there"
    else:
        try:
            found = _match(a, b)
        except VqiError as error:
            note = str(error)
    if found is None:
        return Compared(name, _figures(a.row, b.row, {}), *limits, note=f"images are not compared: {note}")
    return Compared(
        name,
        _figures(a.row, b.row, _changes(found)),
        *limits,
        both=len(found.rows),
        only_a=found.only_a,
        only_b=found.only_b,
        relabelled=found.relabelled,
        matched_by=found.by,
        changed=tuple(_changed(found)),
    )


def _figures(a: Summary, b: Summary, paired: Mapping[str, Change]) -> tuple[Figure, ...]:
    """Those that one of them has; with the paired change where there is one."""
    found = []
    for name, words, kind in _FIGURES:
        old, new = getattr(a, name), getattr(b, name)
        if old is not None or new is not None:
            plain = None if old is None or new is None else Change(new - old)
            found.append(Figure(words, kind, old, new, paired.get(name, plain)))
    found.append(Figure("threshold", "number", a.threshold, b.threshold, None))
    found.append(Figure("promised false alarms", "rate", a.target_fpr, b.target_fpr, None))
    return tuple(found)


def _changes(found: _Matched) -> dict[str, Change]:
    """Of figures that can be had from the images of both; none where one kind of image is missing."""
    labels = np.array([one.label for one, _ in found.rows], dtype=np.int64)
    if len({*labels.tolist()}) < 2:
        return {}
    old, new = (_said([pair[place] for pair in found.rows]) for place in (0, 1))
    pair = drawn_again(labels, new, old)
    moved = new.flagged.astype(np.float64) - old.flagged
    return {
        "image_auroc": _interval(pair.area - pair.area_before, pair.areas),
        "recall": _interval(float(moved[labels == 1].mean()), pair.recalls),
        "false_alarm_rate": _interval(float(moved[labels == 0].mean()), pair.alarms),
    }


def _interval(value: float, draws: Scores) -> Change:
    """With the interval; without one where no image makes a difference, because drawing them again cannot say then how
    far apart the figures may be."""
    if not draws.any():
        return Change(value)
    low, high = np.quantile(draws, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Change(value, float(low), float(high))


def _said(rows: list[ScoreRow]) -> Said:
    return Said(np.array([one.score for one in rows]), np.array([one.decision == 1 for one in rows]))


def _changed(found: _Matched) -> list[Changed]:
    """What B judges wrongly first; in the order of B's scores, the highest first."""
    changed = [
        Changed(b.path, b.label, b.defect_type, a.score, b.score, bool(b.decision))
        for a, b in found.rows
        if a.decision != b.decision
    ]
    return sorted(changed, key=lambda one: (one.right, -one.score_b, one.path))


# -------------------------------------------------------------------------------------------------------------- images


def _match(a: _Measured, b: _Measured) -> _Matched:
    """The test images of both: by their contents where both runs have their index, else by their paths.

    Raises:
        VqiError: The scores of one of them are gone or damaged.
    """
    scores = [_scores(one.run, one.of) for one in (a, b)]
    contents = [_digests(one.run, one.of) for one in (a, b)]
    both = list(zip(scores, contents, strict=True))
    by_contents = all(row.path in known for rows, known in both for row in rows)
    keyed = [_keyed(rows, known if by_contents else {row.path: row.path for row in rows}) for rows, known in both]
    rows = [(keyed[0][key], keyed[1][key]) for key in keyed[0] if key in keyed[1]]
    same = [pair for pair in rows if pair[0].label == pair[1].label]
    only_a, only_b = (len(one) - len(rows) for one in keyed)
    by = "their contents" if by_contents else "their paths (an index of the images is gone)"
    return _Matched(same, only_a, only_b, len(rows) - len(same), by)


def _keyed(rows: list[ScoreRow], known: Mapping[str, str]) -> dict[tuple[str, int], ScoreRow]:
    """Rows by what is known of them; of copies the first one by its path, the second one, and so on."""
    found: dict[tuple[str, int], ScoreRow] = {}
    copies: Counter[str] = Counter()
    for row in sorted(rows, key=lambda one: one.path):
        content = known[row.path]
        found[content, copies[content]] = row
        copies[content] += 1
    return found


def _scores(run: Run, of: Category) -> list[ScoreRow]:
    return _read(run, f"{of.folder}/{MEASURES}", "scores", SCORES_FILE, read_scores)


def _digests(run: Run, of: Category) -> dict[str, str]:
    """The digests of the images by their paths; nothing where they are gone."""
    try:
        index = _read(run, f"{of.folder}/{DATA}", "images", INDEX_FILE, lambda path: read_index(path.parent))
    except VqiError:  # removed by hand: paths tell the images apart as well
        return {}
    return {one.path: one.sha256 for one in index}


def _read(run: Run, step: str, artifact: str, name: str, read: Callable[[Path], Made]) -> Made:
    """A file of an artifact, from the run's folder or from the object store that it passed through.

    Raises:
        VqiError: It is gone or damaged.
    """
    made = read_task(run.folder / step).output_artifacts.get(artifact)
    if made is None:
        raise VqiError(f"{run.folder / step}: it has no output '{artifact}'")
    if "://" not in made.location:
        return read(run.folder / step / made.location / name)
    with scratch_folder() as scratch:
        fetch_uri(f"{made.location}/{name}", scratch / name)
        return read(scratch / name)
