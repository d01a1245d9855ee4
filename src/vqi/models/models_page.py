"""``models/<dataset>/models.html``: what there is of a dataset's models, for people; written anew when that changed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from vqi.artifacts.files import write_text
from vqi.datasets.catalogs import dataset_uri
from vqi.errors import UnavailableError, VqiError
from vqi.models.category import MODELS, VERDICT, Category, categories_below, names_of
from vqi.models.champion import Champion, DamagedError, history
from vqi.models.figures import metrics_of, verdict_of
from vqi.pages.history_chart import State
from vqi.pages.models_page import CategoryModels, Move, Version, models_page
from vqi.progress import message
from vqi.redaction import shown_line
from vqi.store.interface import Store
from vqi.store.names import name_of
from vqi.store.opening import open_store
from vqi.system.concurrency import AT_ONCE

PAGE = "models.html"


def page_of(store: Store, prefix: str, *, links: bool) -> str:
    """The page of a dataset.

    Args:
        store: Of the models.
        prefix: Of the keys of the dataset's categories, with a slash at its end; '' where the store is opened there.
        links: Whether it is written beside the categories, so that reports can be found from it.

    Raises:
        VqiError: There are no models, or the store does not respond.
    """
    categories = categories_below(store, prefix)
    if not categories:
        raise VqiError(f"no models in {store.uri}/{prefix}".rstrip("/"))
    name = name_of(categories[0].uri.split("/")[-2])
    return models_page(name, [_category(one) for one in categories], datetime.now(UTC), links=links)


def renew_page(store: Store, prefix: str) -> None:
    """Write the page of a dataset anew. What goes wrong is said, and is no failure of what changed the models.

    Args:
        store: As for ``page_of``.
        prefix: As for ``page_of``.
    """
    try:
        store.put_bytes(f"{prefix}{PAGE}", page_of(store, prefix, links=True).encode())
    except VqiError as error:
        message(f"note: {PAGE} is not up to date: {error}; 'vqi models page' writes it")


def write_models(store: Store, dataset: str, path: Path) -> None:
    """The page of the models of a run's dataset, in the store and in a file; as ``renew_page`` it ends nothing.

    Args:
        store: Of datasets and models.
        dataset: Uri of the dataset, or what ``dataset_address`` made of that; nothing is written when empty.
        path: Of the file.
    """
    if not dataset:
        return
    name, _, _ = dataset_uri(dataset).rstrip("/").rpartition("/")[2].rpartition("@")
    prefix = f"{MODELS}/{name}/"
    try:
        if categories_below(store, prefix):
            renew_page(store, prefix)
            write_text(path, page_of(store, prefix, links=False))
    except VqiError as error:
        message(f"note: {PAGE} is not written: {error}")


def renew_page_of(category: Category) -> None:
    """``renew_page`` for the dataset of a category."""
    renew_page(open_store(category.uri.rpartition("/")[0]), "")


def _category(category: Category) -> CategoryModels:
    problem, moves = "", []
    try:
        moves = history(category)
    except DamagedError as error:
        problem = shown_line(str(error))
    complete = category.complete()
    files = category.files()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        versions = pool.map(
            lambda number: _version(category, number, moves, decided=VERDICT in files.get(number, {})), complete
        )
    if moves and moves[-1].version not in complete:
        problem = f"the champion is v{moves[-1].version}, which is gone: promote another version ('vqi models promote')"
    shown = tuple(Move(one.since, one.version, one.by, one.why) for one in moves)
    return CategoryModels(names_of(category)[1], category.uri.rpartition("/")[2], tuple(versions), shown, problem)


def _version(category: Category, number: int, moves: list[Champion], *, decided: bool) -> Version:
    metrics = verdict = None
    problem = ""
    try:
        category.manifest(number)
        verdict = verdict_of(category, number) if decided else None
        metrics = metrics_of(category, number)
    except UnavailableError:
        raise
    except VqiError as error:
        problem = shown_line(str(error))
    reserved = category.reservation(number)
    said = verdict.verdict if verdict else ""
    return Version(
        number,
        reserved[0].at if reserved else None,
        _state(number, said, moves),
        metrics,
        said,
        verdict.reasons if verdict else (),
        problem,
    )


def _state(number: int, said: str, moves: list[Champion]) -> State:
    if moves and moves[-1].version == number:
        return "champion"
    if any(one.version == number for one in moves):
        return "before"
    return "rejected" if said == "rejected" else "held" if said == "held" else "none"
