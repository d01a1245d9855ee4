"""A person decides which version is used."""

from __future__ import annotations

from typing import NamedTuple

from vqi.errors import VqiError
from vqi.models.category import Category
from vqi.models.champion import Champion, history, line, move, seen
from vqi.models.models_page import renew_page_of
from vqi.models.overview import check_place, version_in_store
from vqi.models.registry import category_at, fetch_model, no_model, version_at
from vqi.system.scratch import scratch_folder


class Moved(NamedTuple):
    """The champion of a category."""

    category: Category
    champion: Champion
    before: int  # the version that was the champion; 0 for none; the same where nothing was moved


def promote(uri: str, by: str, why: str) -> Moved:
    """Make the version at a uri the champion of its category, after its package was checked.

    Raises:
        VqiError: There is no such version; its package is damaged, or belongs elsewhere; as ``champion.move``.
    """
    if (found := version_at(uri)) != uri.rstrip("/"):
        raise VqiError(f"{uri}: expected a version to promote, such as {found}")
    category, number = version_in_store(uri)
    since = seen(category)
    if since.champion is not None and since.champion.version == number:
        return Moved(category, since.champion, number)
    with scratch_folder() as folder:
        check_place(category, number, fetch_model(category.uri_of(number), folder))
    before = since.champion.version if since.champion else 0
    moved = move(category, since, number, by, why or "promoted by a person")
    renew_page_of(category)
    return Moved(category, moved, before)


def rollback(uri: str, by: str, why: str) -> Moved:
    """Make the champion before the present one the champion again; again and again, the ones before that.

    Raises:
        VqiError: There is none before, or it is gone or damaged; as ``champion.move``.
    """
    category = category_at(uri)
    since = seen(category)
    if since.champion is None and not category.complete():
        raise no_model(uri)
    champions = line(history(category))
    if since.champion is None or len(champions) < 2:
        raise VqiError(f"{category.uri}: there was no champion before: promote a version ('vqi models promote')")
    before, number = since.champion.version, champions[-2]
    with scratch_folder() as folder:
        check_place(category, number, fetch_model(category.uri_of(number), folder))
    why = why or f"back from v{before}"
    moved = move(category, since, number, by, why, rollback=True)
    renew_page_of(category)
    return Moved(category, moved, before)
