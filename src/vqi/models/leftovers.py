"""What is left in a store and needed by nobody: uploads and trainings that broke off, runs that came to no table,
datasets that no version was made of, networks that no version has.

Versions are removed by ``pruning``; verdicts and their photographs never are.

Nothing is removed that is younger than an age, for a run may be under way. Beside a run that begins at the same time:
an upload goes on or is stopped, one of both (``pruning``); a network is marked, then looked for, as whoever publishes
takes a number, then looks for the mark (``backbones``); a dataset loses its catalog, without which it is not complete,
and is then looked for, as a run leaves which dataset it uses, then looks for the catalog.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from vqi.artifacts.training_log import CHECKPOINTS
from vqi.datasets.catalogs import CATALOG, DATASETS
from vqi.datasets.in_use import IN_USE, RUNS, InUse
from vqi.errors import UnavailableError, VqiError
from vqi.models.backbones import Backbones, is_network
from vqi.models.category import MODELS, RESERVED, Category, categories_below, names_of
from vqi.models.champion import PROBE
from vqi.models.manifest import BACKBONE, MANIFEST
from vqi.models.pruning import REMOVED, Plan, plan_uploads, prune
from vqi.models.trained import trained_of
from vqi.outcomes import ended_runs
from vqi.store.interface import ObjectInfo, Store, Unfinished
from vqi.store.kept import kept
from vqi.store.names import key_of, name_of
from vqi.system.concurrency import at_once
from vqi.verdicts.book import VERDICTS

AGE = timedelta(days=7)
_OURS = tuple(f"{one}/" for one in (MODELS, DATASETS, RUNS, VERDICTS, CHECKPOINTS))
_YOUNG = "young: a run may use it"
_NO_AGE = "it is not known how old it is"
_NEEDED_NOW = "needed by now"

Kind = Literal["upload", "write", "run", "checkpoint", "dataset", "network"]


class Leftover(NamedTuple):
    """Something that nobody needs."""

    kind: Kind  # upload: a version without a manifest; write: of one object, which did not end
    key: str  # of an object, or of a folder, with a slash at its end
    bytes: int


@dataclass(frozen=True)
class Found:
    """What is left in a store."""

    store: Store
    age: timedelta
    removed: tuple[Leftover, ...]  # or to be removed
    kept: Mapping[str, str]  # key -> why
    writes: tuple[Unfinished, ...] = ()  # those of ``removed``
    uploads: tuple[tuple[Category, Plan], ...] = ()  # those of ``removed``, by category
    tells_writes: bool = True  # whether the store tells which writes did not end


@dataclass
class _Needed:
    """What versions and runs refer to."""

    networks: dict[str, set[str]] = field(default_factory=dict)  # prefix of a dataset's networks -> digests
    unclear: dict[str, str] = field(default_factory=dict)  # such a prefix -> why that is not all
    datasets: dict[str, str] = field(default_factory=dict)  # folder -> by whom
    named: dict[str, str] = field(default_factory=dict)  # name of datasets, any of which may be needed -> by whom


def look(store: Store, age: timedelta = AGE, now: datetime | None = None) -> Found:
    """What would be removed; nothing is changed.

    Args:
        store: Of datasets and models, as a whole.
        age: What is younger stays.
        now: The time; another one for tests.

    Raises:
        VqiError: It is a part of a store, or none.
    """
    if MODELS in store.uri.rstrip("/").split("/"):
        raise VqiError(f"{store.uri}: expected a whole store, with all that refers to each other, got a part of one")
    if not any(next(store.list(place), None) for place in _OURS):
        raise VqiError(f"{store.uri}: nothing of vqi is there: expected a store with {', '.join(_OURS)}")
    now = now or datetime.now(UTC)
    before = now - age
    categories = categories_below(store)
    uploads = tuple((one, plan_uploads(one, age, now)) for one in categories)
    removed = [one for category, plan in uploads for one in _of_uploads(category, plan)]
    why = {category.key(f"v{number}/"): told for category, plan in uploads for number, told in plan.kept.items()}
    left = store.unfinished()
    writes = [one for one in left or () if one.key.startswith(_OURS)]  # a bucket may have others' as well
    old = tuple(write for write in writes if not _too_young(write.began, before))
    needed = _needed(store, categories, before, {one.key for one in removed})
    found = [
        *((Leftover("write", write.key, write.size), _too_young(write.began, before)) for write in writes),
        *_runs(store, before),
        *_checkpoints(store, before),
        *_datasets(store, needed, before),
        *_networks(store, needed, before),
    ]
    removed += [one for one, told in found if not told]
    why |= {one.key: told for one, told in found if told}
    return Found(store, age, tuple(removed), why, old, uploads, left is not None)


def collect(found: Found) -> Found:
    """Remove what ``look`` found, unless it is needed by now.

    Returns:
        What was done.

    Raises:
        ConditionsError: The store ignores conditional writes: who publishes might miss that a network is removed.
        VqiError: The store cannot be written.
    """
    store, why = found.store, dict(found.kept)
    removed: list[Leftover] = []
    store.check_conditions(f"{MODELS}/{PROBE}")
    for category, plan in found.uploads:
        done = prune(category, plan)
        removed += _of_uploads(category, done)
        why |= {category.key(f"v{number}/"): told for number, told in done.kept.items()}
    for write in found.writes:
        store.discard(write)
    for one in found.removed:
        if one.kind in ("run", "checkpoint"):
            _delete(store, one.key)
    removed += [one for one in found.removed if one.kind in ("write", "run", "checkpoint")]
    for kind, remove in (("dataset", _remove_datasets), ("network", _remove_networks)):
        wanted = [one for one in found.removed if one.kind == kind]
        gone = remove(found, [one.key for one in wanted]) if wanted else set()
        removed += [one for one in wanted if one.key in gone]
        why |= {one.key: _NEEDED_NOW for one in wanted if one.key not in gone}
    return Found(store, found.age, tuple(removed), why, tells_writes=found.tells_writes)


# ---------------------------------------------------------------------------------------------------- what is needed


def _needed(store: Store, categories: list[Category], before: datetime, stopped: Collection[str] = ()) -> _Needed:
    """What the versions refer to, but for uploads that are ``stopped``, and the runs that began later than a moment."""
    found = _Needed()
    versions = [
        (category, number, names)
        for category in categories
        for number, names in category.files().items()
        if category.key(f"v{number}/") not in stopped
    ]
    at_once(lambda one: _note(found, *one), versions, "read what versions need")
    for one in store.list(f"{RUNS}/"):
        if one.key.endswith(f"/{IN_USE}") and _too_young(one.modified, before):
            use = kept(InUse, store, one.key, "the run may lose its dataset")
            if use is not None:
                found.datasets[use.dataset] = f"{one.key.removesuffix(f'/{IN_USE}')} uses it"
    return found


def _note(needed: _Needed, category: Category, number: int, names: Mapping[str, int]) -> None:
    """What one version refers to."""
    networks, version = category.backbones.prefix, category.uri_of(number)
    if MANIFEST in names:
        try:
            needed.networks.setdefault(networks, set()).add(category.manifest(number).files[BACKBONE])
        except UnavailableError:
            raise
        except VqiError as error:
            needed.unclear[networks] = f"it is not known what {version} needs: {error}"
        made = trained_of(category, number)
        if made is None:
            needed.named[names_of(category)[0]] = f"it is not known of which one {version} was made"
        else:
            needed.datasets[made.dataset] = f"{version} was made of it"
    elif RESERVED in names:
        reserved = category.reservation(number)
        if reserved is None:
            needed.unclear[networks] = f"it is not known what {version} needs, an upload that did not end"
        elif reserved[0].digest != REMOVED:
            needed.networks.setdefault(networks, set()).add(reserved[0].backbone)


def _too_young(at: datetime | None, before: datetime) -> str:
    """Why something of that time stays; '' where it does not."""
    return _NO_AGE if at is None else _YOUNG if at > before else ""


# ------------------------------------------------------------------------------------------ what there is, and why


def _runs(store: Store, before: datetime) -> Iterator[tuple[Leftover, str]]:
    ended = {f"{RUNS}/{key_of(run)}/" for run in ended_runs(store)}
    for folder, objects in _folders(store, RUNS).items():
        told = "one of the last runs" if folder in ended else _newest(objects, before)
        yield Leftover("run", folder, sum(one.size for one in objects)), told


def _checkpoints(store: Store, before: datetime) -> Iterator[tuple[Leftover, str]]:
    """The states of trainings, each of which ends with its training."""
    for one in store.list(f"{CHECKPOINTS}/"):
        yield Leftover("checkpoint", one.key, one.size), _too_young(one.modified, before)


def _datasets(store: Store, needed: _Needed, before: datetime) -> Iterator[tuple[Leftover, str]]:
    for folder, objects in _folders(store, DATASETS).items():
        told = _dataset_needed(needed, folder) or _newest(objects, before)
        yield Leftover("dataset", folder, sum(one.size for one in objects)), told


def _dataset_needed(needed: _Needed, folder: str) -> str:
    name = folder.split("/")[1]
    return needed.datasets.get(name) or needed.named.get(name_of(name.rpartition("@")[0])) or ""


def _networks(store: Store, needed: _Needed, before: datetime) -> Iterator[tuple[Leftover, str]]:
    """The networks; and the marks of removals that were killed, whether or not the network is needed."""
    places = {f"{one.key.rpartition('/')[0]}/" for one in store.list(f"{MODELS}/") if is_network(one.key)}
    for networks in (Backbones(store, prefix) for prefix in sorted(places)):
        digests = needed.networks.get(networks.prefix, ())
        for digest, one in networks.all().items():
            told = "a version has it" if digest in digests else needed.unclear.get(networks.prefix)
            yield Leftover("network", one.key, one.size), told or _too_young(one.modified, before)
        for one in networks.marked().values():
            yield Leftover("network", one.key, one.size), _too_young(one.modified, before)


def _folders(store: Store, above: str) -> dict[str, list[ObjectInfo]]:
    """What is directly below a folder, by key, with all its objects."""
    found: dict[str, list[ObjectInfo]] = {}
    for one in store.list(f"{above}/"):
        name, slash, _ = one.key.removeprefix(f"{above}/").partition("/")
        if slash:
            found.setdefault(f"{above}/{name}/", []).append(one)
    return found


def _newest(objects: list[ObjectInfo], before: datetime) -> str:
    """Why a folder stays, by its youngest object."""
    return next((told for one in objects if (told := _too_young(one.modified, before))), "")


def _of_uploads(category: Category, plan: Plan) -> list[Leftover]:
    return [Leftover("upload", category.key(f"v{number}/"), size) for number, size in plan.removed.items()]


# --------------------------------------------------------------------------------------------------------- removing


def _remove_datasets(found: Found, folders: list[str]) -> set[str]:
    """Remove datasets: first their catalogs, which are put back where somebody needs one by now."""
    store = found.store
    catalogs = {folder: store.get_tagged(f"{folder}{CATALOG}") for folder in folders}
    for folder in folders:
        store.delete(f"{folder}{CATALOG}")
    needed = _needed(store, categories_below(store), datetime.now(UTC) - found.age)
    gone = set()
    for folder, catalog in catalogs.items():
        if not _dataset_needed(needed, folder):
            _delete(store, folder)
            gone.add(folder)
        elif catalog is not None:
            store.put_bytes(f"{folder}{CATALOG}", catalog.data)
    return gone


def _remove_networks(found: Found, keys: list[str]) -> set[str]:
    store, before = found.store, datetime.now(UTC) - found.age
    for prefix in sorted({f"{key.rpartition('/')[0]}/" for key in keys}):
        networks = Backbones(store, prefix)
        digests = {networks.digest_of(key) for key in keys if key.startswith(prefix)}

        def needed(prefix: str = prefix, digests: Collection[str] = digests) -> Collection[str]:
            still = _needed(store, categories_below(store), before)
            return digests if prefix in still.unclear else still.networks.get(prefix, ())

        networks.remove(digests, needed, before)
    return {key for key in keys if not store.exists(key)}


def _delete(store: Store, place: str) -> None:
    """Remove an object, or a folder, with a slash at its end."""
    for one in [*store.list(place)]:
        store.delete(one.key)
