"""What there is in a store of models: each version with its figures, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from pydantic import AwareDatetime

from vqi.artifacts.decision import GateVerdict
from vqi.artifacts.metrics import Metrics
from vqi.errors import UnavailableError, VqiError
from vqi.models.category import MODELS, RESERVED, VERDICT, VERSION, Category, categories_below, names_of
from vqi.models.champion import champion_of
from vqi.models.figures import metrics_of, verdict_of
from vqi.models.manifest import MANIFEST, Manifest
from vqi.models.registry import category_at, no_model, version_at
from vqi.records import Record
from vqi.store.opening import open_store
from vqi.system.concurrency import AT_ONCE


class Entry(Record):
    """A version."""

    model: str  # its uri
    dataset: str
    category: str
    version: int
    champion: bool
    complete: bool
    published: AwareDatetime | None  # when its upload began; None where an earlier vqi wrote it
    bytes: int
    manifest: Manifest | None  # None where it is incomplete or damaged
    metrics: Metrics | None  # None where nothing is known of it
    verdict: GateVerdict | None = None  # None where no gate decided
    problem: str = ""  # what is wrong with it


def categories_in(uri: str) -> list[Category]:
    """The categories in a store, in a part of it, or the one at a uri; in the order of their names.

    Raises:
        VqiError: There are no models.
    """
    store = open_store(uri)
    inside = MODELS in uri.rstrip("/").split("/")
    found = categories_below(store, "" if inside else f"{MODELS}/")
    if not found:
        raise VqiError(
            f"no models in {store.uri}: expected a store with {MODELS}/<dataset>/<category>/v1; 'vqi run' makes some"
        )
    return found


def entries_of(category: Category) -> list[Entry]:
    """The versions of a category, complete or not, the first one first; and the champion, where it is gone.

    Raises:
        VqiError: The champion is damaged.
    """
    champion, files = champion_of(category), category.files()
    used = 0 if champion is None else champion.version
    if used and MANIFEST not in files.get(used, {}):
        files[used] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda one: _entry(category, one, files[one], champion=one == used), sorted(files)))


def entry_of(uri: str) -> Entry:
    """The version at a uri.

    Raises:
        VqiError: There is none, or it is incomplete.
    """
    category, number = version_in_store(uri)
    files = category.files().get(number)
    if not files:
        raise no_model(uri)
    champion = champion_of(category)
    return _entry(category, number, files, champion=champion is not None and champion.version == number)


def version_in_store(uri: str) -> tuple[Category, int]:
    """The category and the number of the version at a uri; of a category, its champion.

    Raises:
        VqiError: There is no model, or it is a copy outside of a store.
    """
    found = open_store(version_at(uri)).uri  # absolute
    parent, _, name = found.rpartition("/")
    match = VERSION.fullmatch(name)
    if match is None:
        raise VqiError(f"{uri}: expected a version in a store, such as {MODELS}/parts/bracket/v3, got a copy of one")
    return category_at(parent), int(match[1])


def _entry(category: Category, number: int, files: Mapping[str, int], *, champion: bool) -> Entry:
    dataset, name = names_of(category)
    manifest, metrics, verdict = None, None, None
    problem = "" if files else "the champion is gone: promote another version ('vqi models promote')"
    complete = MANIFEST in files
    try:
        if complete:
            manifest = category.manifest(number)
            check_place(category, number, manifest)
            verdict = verdict_of(category, number) if VERDICT in files else None
            metrics = metrics_of(category, number)
    except UnavailableError:
        raise
    except VqiError as error:
        problem = str(error)
    reservation = category.reservation(number) if RESERVED in files else None
    return Entry(
        model=category.uri_of(number),
        dataset=dataset,
        category=name,
        version=number,
        champion=champion,
        complete=complete,
        published=reservation[0].at if reservation else None,
        bytes=sum(files.values()),
        manifest=manifest,
        metrics=metrics,
        verdict=verdict,
        problem=problem,
    )


def check_place(category: Category, number: int, manifest: Manifest) -> None:
    """Refuse a package that somebody copied to where it does not belong.

    Raises:
        VqiError: It is of another dataset, category or version.
    """
    expected = (*names_of(category), number)
    got = (manifest.dataset, manifest.category, manifest.version)
    if got != expected:
        told = [f"version {version} of {dataset}/{name}" for dataset, name, version in (expected, got)]
        raise VqiError(f"{category.uri_of(number)}: expected {told[0]}, got {told[1]}: somebody copied it there")
