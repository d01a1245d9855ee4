"""Which categories of a dataset have to be trained: not those whose model would be made again.

That is a model of the same photographs, parameters and code: the one that is used, or one that the gate refused while
the same one was used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from vqi.artifacts.catalog import Catalog
from vqi.artifacts.changes import CategoryChange, Changes, PhotographChanges
from vqi.artifacts.drift import Drift
from vqi.artifacts.metrics import Summary
from vqi.config import RetrainIf
from vqi.datasets.catalogs import DATASETS
from vqi.datasets.photographs import Photographs, changed_photographs, photographs_of
from vqi.errors import UnavailableError, VqiError
from vqi.models.category import Category, category_of
from vqi.models.drifting import drift_since
from vqi.models.figures import metrics_of
from vqi.models.manifest import MANIFEST
from vqi.models.registry import in_use
from vqi.models.trained import Trained, trained_of
from vqi.outcomes import leave_unchanged_row
from vqi.progress import message
from vqi.recipe import differences
from vqi.store.interface import Store
from vqi.system.concurrency import at_once


class _Same(NamedTuple):
    """A version that would be made again."""

    number: int
    row: Summary


def changes_of(store: Store, dataset: str, catalog: Catalog, recipe: str, retrain_if: RetrainIf) -> Changes:
    """What changed in each category since the model that is used was made, and which have to be trained.

    Args:
        store: Of datasets and models.
        dataset: Its uri.
        catalog: Of the dataset.
        recipe: What makes the models of this run; see ``vqi.recipe``.
        retrain_if: ``always`` for all of them; ``drifted`` for those of which photographs alone changed only where the
            new good ones are not as good ones should be.
    """
    names, folder = sorted(catalog.categories), dataset.rstrip("/").rpartition("/")[2]
    known: dict[str, Photographs | None] = {}

    def decide(name: str) -> _Decided:
        return _decided(category_of(store, catalog.name, name), catalog.categories[name].sha256, recipe, retrain_if)

    decided = at_once(decide, names, "look for changes")
    if retrain_if == "drifted":  # one after the other: each runs a network
        decided = [
            _looked_at(one, dataset, _read(store, folder, known, name)) if one.photographs_alone else one
            for name, one in zip(names, decided, strict=True)
        ]
    found = [_change(store, name, one, folder, known) for name, one in zip(names, decided, strict=True)]
    for change in found:
        message(f"{'to train' if change.trained else 'unchanged'}: {change.category}: {change.why}")
    return Changes(categories=tuple(found))


def leave_unchanged(store: Store, run: str, dataset: str, changes: Changes) -> None:
    """Leave the rows of the categories that are not trained, for the table of a run.

    Args:
        store: Of datasets and models.
        run: Id of the run; nothing is left when empty.
        dataset: Uri of the dataset, or what ``dataset_address`` made of that.
        changes: Of all categories.
    """
    rows = [(one.row, one.why) for one in changes.categories if one.row is not None]
    if run:
        at_once(lambda row: leave_unchanged_row(store, run, dataset, *row), rows, "leave rows")


class _Decided(NamedTuple):
    """Whether a category is trained, and why."""

    where: Category
    compared: int  # the version that it is compared with; 0 for none
    made: Trained | None  # of what that was made; None where the photographs are the same ones, or it is not known
    why: str
    row: Summary | None = None  # where it is not trained
    photographs_alone: bool = False  # whether nothing else changed since that version, which is used
    drift: Drift | None = None  # of the new good photographs


def _looked_at(found: _Decided, dataset: str, now: Mapping[str, str] | None) -> _Decided:
    """What becomes of a category of which photographs alone changed, where only a drift is a reason to train."""
    try:
        if now is None:
            raise VqiError("the dataset does not say which photographs it has")
        if not found.where.is_whole(found.compared, found.where.files()):
            raise VqiError(f"v{found.compared} is not whole")
        drift = drift_since(found.where, found.compared, dataset, now)
        row = metrics_of(found.where, found.compared).summary()
    except UnavailableError:
        raise
    except VqiError as error:
        return found._replace(why=f"{found.why}; whether they drifted cannot be told: {error}")
    if drift is not None and drift.drifted:
        return found._replace(why=f"{found.why}: {drift.text}", drift=drift)
    told = "no good one of them is new" if drift is None else drift.text
    return found._replace(why=f"{found.why}, and only a drift is a reason to train: {told}", row=row, drift=drift)


def _decided(where: Category, data: str, recipe: str, retrain_if: RetrainIf) -> _Decided:
    try:
        files = where.files()
        used = in_use(where)
    except UnavailableError:
        raise
    except VqiError as error:  # the gate will hold what is made
        return _Decided(where, 0, None, str(error))
    if not any(MANIFEST in names for names in files.values()):
        return _Decided(where, 0, None, "there is no model of it yet")
    made = trained_of(where, used) if used else None
    changed = made if made is not None and made.data != data else None
    if retrain_if == "always":
        return _Decided(where, used, changed, "each run trains it, as was asked")
    same = _same(where, files, used, data, recipe)
    if same is not None:
        told = f"v{same.number} was made of the same photographs, with the same parameters and code"
        if same.number != used:
            told += f"; it is not used, {f'v{used} is' if used else 'nor is any other'}"
        return _Decided(where, same.number, None, told, same.row)
    if not used:
        return _Decided(where, 0, None, "no model of it was promoted yet")
    if made is None:
        return _Decided(where, used, None, f"it is not known what v{used}, which is used, was made of")
    what = [*(["its photographs"] if changed else []), *filter(None, [differences(made.recipe, recipe)])]
    if not what:
        return _Decided(where, used, None, f"v{used}, which is used, is not whole")
    told = f"since v{used}, which is used, {' and '.join(what)} changed"
    return _Decided(where, used, changed, told, photographs_alone=what == ["its photographs"])


def _same(where: Category, files: Mapping[int, Mapping[str, int]], used: int, data: str, recipe: str) -> _Same | None:
    """The version that would be made again, with its row of the table; None where there is none that is whole."""
    for number in sorted(files, key=lambda one: (one == used, one), reverse=True):
        made = trained_of(where, number) if MANIFEST in files[number] else None
        if made is None or (made.data, made.recipe) != (data, recipe) or used not in (number, made.used):
            continue
        try:
            if where.is_whole(number, files):
                return _Same(number, metrics_of(where, number).summary())
        except UnavailableError:
            raise
        except VqiError as error:
            message(f"note: {error}")
    return None


def _change(
    store: Store, name: str, found: _Decided, folder: str, known: dict[str, Photographs | None]
) -> CategoryChange:
    """``known``: the photographs of datasets that were read already."""
    photographs, why = _photographs(store, name, found, folder, known), found.why
    if photographs:
        why = f"{why} ({'; '.join(_told(where, one) for where, one in photographs.items())})"
    return CategoryChange(
        category=name,
        trained=found.row is None,
        why=why,
        version=found.compared or None,
        model=found.where.uri_of(found.compared) if found.compared else "",
        photographs=photographs,
        row=found.row,
        drift=found.drift,
    )


def _photographs(
    store: Store, name: str, found: _Decided, folder: str, known: dict[str, Photographs | None]
) -> dict[str, PhotographChanges] | None:
    if found.made is None:
        return None if found.row is None else {}
    before, now = (_read(store, one, known, name) for one in (found.made.dataset, folder))
    if before is None or now is None:
        return None
    return changed_photographs(before, now)


def _read(store: Store, folder: str, known: dict[str, Photographs | None], name: str) -> Mapping[str, str] | None:
    """The photographs of a category in a dataset; None where they are not known."""
    if folder not in known:
        known[folder] = photographs_of(store, f"{DATASETS}/{folder}")
    found = known[folder]
    return None if found is None else found.categories.get(name)


def _told(folder: str, changes: PhotographChanges) -> str:
    counts = ((changes.new, "new"), (changes.removed, "removed"), (changes.changed, "changed"))
    return f"{folder}: {', '.join(f'{number:,} {kind}' for number, kind in counts if number)}"
