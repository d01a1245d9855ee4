"""What became of each category of a run, in the store: ``runs/<run>/summaries/<category>.json``, names as in
``store.names``.

``publish`` leaves it when a category is done, ``summarize`` reads what is there. So nothing that a step is given grows
with the number of categories, and a category that failed takes nothing from the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from vqi.artifacts.catalog import Catalog
from vqi.artifacts.metrics import Summary
from vqi.datasets.catalogs import CATALOG, dataset_uri, read_catalog
from vqi.datasets.in_use import RUNS
from vqi.errors import UnavailableError, VqiError
from vqi.formatting import count
from vqi.progress import message
from vqi.records import Record, parse_json
from vqi.redaction import shown_line
from vqi.store.interface import Store
from vqi.store.names import key_of
from vqi.store.opening import open_store
from vqi.system.concurrency import at_once

ENDED = f"{RUNS}/ended.json"
KEPT = 50  # runs whose outcomes are kept, for 'vqi step' and 'argo retry'
_MOST_NAMES = 10  # in one message
_LONGEST = 200  # characters of a decision on the line of all categories
NOT_FINISHED = "did not finish: the log of its last step says why"


class Outcome(Record):
    """What became of a category."""

    format: Literal["vqi.outcome/1"] = "vqi.outcome/1"
    category: str
    dataset: str  # its uri
    summary: Summary | None  # its row of the table
    failure: str = ""  # why it has none
    unchanged: str = ""  # why it was not trained, and has the row of a model that is there
    decision: str = ""  # what the gate said of its new model


class _Ended(Record):
    """The runs that have their table, the latest last."""

    runs: tuple[str, ...]


@dataclass(frozen=True)
class Outcomes:
    """What became of all categories of a run, by name."""

    rows: list[Summary]
    failed: dict[str, str]  # category -> why
    unchanged: dict[str, str]  # category that was not trained -> why
    decisions: dict[str, str]  # category -> what the gate said of its new model
    datasets: dict[str, str]  # category -> the name of its dataset

    @property
    def line(self) -> str:
        """On one line, what asks for somebody first: ``b: failed; a: v3 was rejected, v2 is used: ...``."""
        told = [f"{name}: failed" for name in self.failed]
        told += [f"{name}: {_shortened(said)}" for name, said in self.decisions.items()]
        if self.unchanged:
            told.append(f"unchanged: {count(len(self.unchanged), 'category', 'categories')}")
        more = len(told) - _MOST_NAMES
        return "; ".join([*told[:_MOST_NAMES], *([f"and {more} more"] if more > 0 else [])]) or "no categories"


def _shortened(text: str) -> str:
    return shown_line(text) if len(text) <= _LONGEST else f"{shown_line(text)[:_LONGEST]}..."


@dataclass
class Told:
    """What the work on a category tells while it is done."""

    decision: str = ""  # what the gate said of its new model


@contextmanager
def outcome_kept(store: Store, run: str, dataset: str, summary: str) -> Iterator[Told]:
    """Leave what became of a category when the work inside has ended: its summary, or why the work failed.

    Args:
        store: Of datasets and models.
        run: Id of the run; nothing is left when empty, as for a step that somebody runs by hand.
        dataset: Uri of the dataset.
        summary: From ``evaluate``, JSON.

    Raises:
        VqiError: The summary or the id is none; or as the work inside.
    """
    told = Told()
    if not run:
        yield told
        return
    prefix = _prefix(run)
    row = parse_json(Summary, summary, "summary", "run evaluate again")
    key = f"{prefix}{key_of(row.category)}.json"
    try:
        yield told
    except VqiError as error:
        failed = Outcome(category=row.category, dataset=dataset, summary=None, failure=shown_line(str(error)))
        with suppress(VqiError):  # the store may be what failed
            store.put_bytes(key, failed.model_dump_json().encode())
        raise
    done = Outcome(category=row.category, dataset=dataset, summary=row, decision=told.decision)
    store.put_bytes(key, done.model_dump_json().encode())


def leave_unchanged_row(store: Store, run: str, dataset: str, row: Summary, why: str) -> None:
    """Leave the row of a category that is not trained in a run: that of a model that is there already."""
    outcome = Outcome(category=row.category, dataset=dataset, summary=row, unchanged=why)
    store.put_bytes(f"{_prefix(run)}{key_of(row.category)}.json", outcome.model_dump_json().encode())


def read_outcomes(store: Store, run: str, dataset: str) -> Outcomes:
    """What became of the categories of a dataset in a run, in the order of their names.

    Args:
        store: Of datasets and models.
        run: Id of the run.
        dataset: Uri of the dataset, whose catalog names the categories; when empty, the one that the outcomes name.

    Raises:
        VqiError: The dataset is not there; or it is not known, because no category came to its end.
    """
    keys = [one.key for one in store.list(_prefix(run))]
    read = at_once(lambda key: _outcome(store, key), keys, "read summaries")
    found = {one.category: one for one in read if one and dataset in ("", one.dataset)}
    uris = {dataset} if dataset else {one.dataset for one in found.values()}
    if not uris:
        raise VqiError(
            f"{store.uri_of(_prefix(run)[:-1])}: no category of the run came to its end: see why each failed"
        )
    datasets = {name: catalog.name for catalog in map(_catalog, uris) for name in catalog.categories}
    categories = sorted(datasets)
    ended = {name: found[name] for name in categories if name in found}
    reasons = {name: ended[name].failure if name in ended else NOT_FINISHED for name in categories}
    rows = [one.summary for one in ended.values() if one.summary is not None]
    done = {row.category for row in rows}
    failed = {name: reason for name, reason in reasons.items() if name not in done}
    unchanged = {name: one.unchanged for name, one in ended.items() if one.unchanged}
    decisions = {name: one.decision for name, one in ended.items() if one.decision}
    return Outcomes(rows, failed, unchanged, decisions, datasets)


def conclude(found: Outcomes, partial: bool) -> None:
    """Say which categories of a run failed.

    Args:
        found: Of all categories.
        partial: Whether a table of some of them is a success.

    Raises:
        VqiError: All of them failed; or some, and that is no success.
    """
    if not found.failed:
        return
    shown = [f"{name} ({reason})" for name, reason in [*found.failed.items()][:_MOST_NAMES]]
    more = f" and {len(found.failed) - _MOST_NAMES} more" if len(found.failed) > _MOST_NAMES else ""
    total = len(found.rows) + len(found.failed)
    text = f"{len(found.failed)} of {count(total, 'category', 'categories')} failed: {', '.join(shown)}{more}"
    if not found.rows:
        raise VqiError(f"{text}: there is no category with a result: see why, and run the pipeline again")
    if not partial:
        raise VqiError(f"{text}: the table has the others; see why, and try these again ('argo retry')")
    message(f"the table has no figures of what failed: {text}")


def forget_old(store: Store, run: str) -> None:
    """Note that a run has its table, and remove the outcomes of all but the ``KEPT`` runs that had theirs last."""
    try:
        runs = [*(one for one in ended_runs(store) if one != run), run]
        for old in runs[:-KEPT]:
            for entry in [*store.list(f"{RUNS}/{key_of(old)}/")]:
                store.delete(entry.key)
        store.put_bytes(ENDED, _Ended(runs=tuple(runs[-KEPT:])).model_dump_json().encode())
    except VqiError as error:  # the table is complete without it; the next run tries again
        message(f"note: what older runs left is not removed: {error}")


def _prefix(run: str) -> str:
    if "{{" in run:
        raise VqiError(
            f"run: expected the id of the run, got '{run}', which was not filled in: update Kubeflow Pipelines"
        )
    return f"{RUNS}/{key_of(run)}/summaries/"


def _outcome(store: Store, key: str) -> Outcome | None:
    """What became of a category; None for what is damaged, which is said: it costs its own row only."""
    try:
        return parse_json(Outcome, store.get_bytes(key), store.uri_of(key), "run the pipeline again")
    except UnavailableError:
        raise
    except VqiError as error:
        message(f"note: {error}")
        return None


def ended_runs(store: Store) -> tuple[str, ...]:
    """The runs that had their table, the latest last; none where that is damaged."""
    if not store.exists(ENDED):
        return ()
    try:
        return parse_json(_Ended, store.get_bytes(ENDED), store.uri_of(ENDED), "it is written again").runs
    except UnavailableError:
        raise
    except VqiError as error:
        message(f"note: {error}")
        return ()


def _catalog(dataset: str) -> Catalog:
    uri = dataset_uri(dataset)
    catalog = read_catalog(open_store(uri), "")
    if catalog is None:
        raise VqiError(f"no complete dataset at {uri}: {CATALOG} is missing; run dataset_download again")
    return catalog
