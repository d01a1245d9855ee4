"""A version beside others: what was measured of each, for the report of a run."""

from __future__ import annotations

from collections.abc import Iterator

from vqi.errors import UnavailableError, VqiError
from vqi.models.category import Category
from vqi.models.champion import DamagedError, history
from vqi.models.figures import metrics_of
from vqi.models.overview import version_in_store
from vqi.pages.decision_card import Measured


def beside_earlier(model: str) -> list[Measured]:
    """A version, the one before, and the last champion that is another one; alone where it is the only one.

    What cannot be read of an earlier version leaves it out: the models' page says what is wrong with it.

    Args:
        model: Uri of the version.

    Raises:
        VqiError: The version itself is damaged, or the store does not respond.
    """
    category, number = version_in_store(model)
    own = Measured(number, "this model", metrics_of(category, number))
    return [own, *_earlier(category, number)]


def _earlier(category: Category, number: int) -> Iterator[Measured]:
    last = max((one for one in category.complete() if one < number), default=0)
    used = _champion_before(category, number)
    roles = {last: "the one before", used: "the champion before" if used < number else "the champion since"}
    if last == used:
        roles = {last: "the one before, and the champion then"}
    for version, role in roles.items():
        if not version:
            continue
        try:
            yield Measured(version, role, metrics_of(category, version))
        except UnavailableError:
            raise
        except VqiError:  # written by an earlier vqi, or damaged
            continue


def _champion_before(category: Category, number: int) -> int:
    """The last champion that is another version and still there; 0 for none."""
    try:
        moves = history(category)
    except DamagedError:
        return 0
    there = set(category.complete())
    return next((one.version for one in reversed(moves) if one.version != number and one.version in there), 0)
