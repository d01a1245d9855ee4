"""Which version of a category is used: ``champion.json``, and ``history/<n>.json``, a file for each time it was moved.

The champion is moved in one step, by a conditional write: of two who saw the same champion one wins, and the other is
told. A move is put down in the history before the next one replaces it, so that nothing is lost whenever somebody is
killed: what is missing then is the last move, which is still in ``champion.json``, and the next one adds it.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, Field

from vqi.errors import UnavailableError, VqiError, printable
from vqi.models.category import Category
from vqi.progress import message
from vqi.records import Record, parse_json

CHAMPION = "champion.json"
HISTORY = "history"
PROBE = "conditions.txt"
LONGEST_BY, LONGEST_WHY = 200, 2000  # characters
_AGAIN = "remove it and promote a version ('vqi models promote')"


class DamagedError(VqiError):
    """``champion.json`` or an entry of the history is not what was written."""


class MovedMeanwhileError(VqiError):
    """Somebody else moved the champion after it was seen."""


class Champion(Record):
    """A move of the champion: the last one is ``champion.json``."""

    format: Literal["vqi.champion/1"] = "vqi.champion/1"
    number: int = Field(ge=1)  # of the move, counting up
    version: int = Field(ge=1)  # that is used from then on
    since: AwareDatetime
    by: str  # who moved it: user@host, or the gate of a run
    why: str
    rollback: bool = False  # whether it went back to the champion before


class Seen(NamedTuple):
    """The champion as somebody saw it, who may move it from there."""

    champion: Champion | None
    tag: str  # of ``champion.json``; '' where there is none


def seen(category: Category) -> Seen:
    """The champion as it is now.

    Raises:
        DamagedError: ``champion.json`` is damaged.
    """
    with _damage(category, CHAMPION):
        found = category.store.get_tagged(category.key(CHAMPION))
        return Seen(None, "") if found is None else Seen(_parsed(found.data, category, CHAMPION), found.tag)


def champion_of(category: Category) -> Champion | None:
    """The champion; None where nothing was promoted yet. Raises as ``seen``."""
    return seen(category).champion


def history(category: Category) -> list[Champion]:
    """All moves of the champion, the first one first.

    Raises:
        DamagedError: One of them is damaged.
    """
    last = champion_of(category)
    before = [number for number in _numbers(category) if last is None or number != last.number]
    moves = {number: _recorded(category, number) for number in before}
    if last is not None:
        moves[last.number] = last  # whoever moved it may have been interrupted before, or while, it was put down
    return [move for _, move in sorted(moves.items())]


def line(moves: list[Champion]) -> list[int]:
    """The champions behind each other, the present one last: what a rollback goes back along."""
    found: list[int] = []
    for move in moves:
        if move.rollback and len(found) > 1 and found[-2] == move.version:
            found.pop()
        else:
            found.append(move.version)
    return found


def move(category: Category, since: Seen, version: int, by: str, why: str, *, rollback: bool = False) -> Champion:
    """Make a version the champion.

    Args:
        category: Where.
        since: The champion that is replaced: as it was seen when this was decided.
        version: A complete one.
        by: Who decided.
        why: In a sentence.
        rollback: Whether this goes back to the champion before.

    Raises:
        MovedMeanwhileError: Somebody else moved it meanwhile.
        ConditionsError: The store ignores conditional writes.
        VqiError: There is no such version, the store cannot be written, or a text is too long.
    """
    for name, text, most in (("by", by, LONGEST_BY), ("why", why, LONGEST_WHY)):
        if len(text) > most:
            raise VqiError(f"{name}: expected at most {most} characters, got {len(text)}")
    if not category.has(version):
        raise VqiError(f"no model at '{category.uri_of(version)}': it cannot be the champion")
    category.store.check_conditions(category.key(PROBE))
    if since.champion is not None and _put_down(category, since.champion):
        message(
            f"note: {category.uri}: {_told(since.champion)} was not in the history: whoever moved the champion was "
            "interrupted; it is added"
        )
    number = max([*_numbers(category), since.champion.number if since.champion else 0], default=0) + 1
    moved = Champion(
        number=number, version=version, since=_now(), by=printable(by), why=printable(why), rollback=rollback
    )
    if not _replaced(category, since, moved):
        now = champion_of(category)
        told = "it is gone" if now is None else f"now it is {_told(now)}"
        raise MovedMeanwhileError(
            f"{category.uri}: somebody else moved the champion meanwhile, {told}: look again, then decide"
        )
    _put_down(category, moved)
    if not category.has(version):
        _back(category, since, version)
        raise VqiError(f"{category.uri_of(version)} was removed while it was promoted: promote another version")
    return moved


def whoami() -> str:
    """``user@host``."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, as in a container
        user = f"uid {os.getuid()}"
    return printable(f"{user}@{socket.gethostname()}")[:LONGEST_BY]


def _now() -> datetime:
    return datetime.now(UTC)


def _replaced(category: Category, since: Seen, moved: Champion) -> bool:
    """Whether this write moved the champion."""
    key, data = category.key(CHAMPION), moved.model_dump_json(indent=2).encode()
    if category.store.replace(key, data, since.tag) if since.tag else category.store.put_if_absent(key, data):
        return True
    # An answer may have been lost, and the next move made on top of this one: then it is in the history.
    return moved.number in _numbers(category) and _recorded(category, moved.number) == moved


def _back(category: Category, since: Seen, version: int) -> None:
    """Take back a move to a version that is gone."""
    if since.champion is not None:
        why = f"v{version} was removed while it was promoted"
        move(category, seen(category), since.champion.version, since.champion.by, why, rollback=True)


def _put_down(category: Category, moved: Champion) -> bool:
    """Write a move into the history: True when it was not there, or damaged, as a server may leave it.

    Raises:
        VqiError: Another one is there under its number.
    """
    name = f"{HISTORY}/{moved.number}.json"
    data = moved.model_dump_json(indent=2).encode()
    if category.store.put_if_absent(category.key(name), data):
        return True
    try:
        there = _recorded(category, moved.number)
    except DamagedError:  # nobody else has anything else to write there
        category.store.put_bytes(category.key(name), data)
        return True
    if there != moved:
        raise VqiError(
            f"{category.uri}/{name}: expected {_told(moved)} as in {CHAMPION}, got {_told(there)}: somebody wrote "
            "one of them by hand; remove the wrong one"
        )
    return False


def _numbers(category: Category) -> list[int]:
    """The moves that are in the history, counting up."""
    prefix = category.key(f"{HISTORY}/")
    names = [entry.key.removeprefix(prefix).removesuffix(".json") for entry in category.store.list(prefix)]
    return sorted(int(name) for name in names if name.isascii() and name.isdecimal())


def _recorded(category: Category, number: int) -> Champion:
    name = f"{HISTORY}/{number}.json"
    with _damage(category, name):
        return _parsed(category.store.get_bytes(category.key(name)), category, name)


def _parsed(data: bytes, category: Category, name: str) -> Champion:
    return parse_json(Champion, data, f"{category.uri}/{name}", _AGAIN)


@contextmanager
def _damage(category: Category, name: str) -> Iterator[None]:
    """What cannot be read although the store responds is damaged."""
    try:
        yield
    except UnavailableError:
        raise
    except VqiError as error:
        told = str(error)
        raise DamagedError(told if told.endswith(_AGAIN) else f"{told}; {_AGAIN}") from error


def _told(move: Champion) -> str:
    return f"move {move.number} to v{move.version} by {move.by}"
