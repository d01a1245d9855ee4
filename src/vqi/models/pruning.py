"""Removing old versions of a category: never the champion, the one before it, or an upload that may still go on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from vqi.errors import UnavailableError, VqiError
from vqi.models.category import RESERVED, Category
from vqi.models.champion import DamagedError, champion_of, history, line
from vqi.models.manifest import MANIFEST
from vqi.models.registry import in_use

YOUNG = timedelta(days=1)  # no upload takes so long
REMOVED = "removed"  # in the place of a digest: nobody takes up this upload


@dataclass(frozen=True)
class Plan:
    """What becomes of the versions."""

    removed: dict[int, int]  # version -> bytes
    kept: dict[int, str]  # version -> why
    incomplete: frozenset[int] = frozenset()  # of those that are removed


def plan(category: Category, keep: int, now: datetime | None = None) -> Plan:
    """What would be removed where the newest ``keep`` complete versions are kept, and uploads of the last day.

    Raises:
        VqiError: The champion or its history is damaged.
    """
    now = now or datetime.now(UTC)
    files = category.files()
    complete = [number for number, names in files.items() if MANIFEST in names]
    kept = dict.fromkeys(complete[max(len(complete) - keep, 0) :], f"one of the newest {keep}")
    champions = line(history(category))
    if len(champions) > 1:
        kept[champions[-2]] = "the champion before"
    if number := in_use(category):
        kept[number] = "the champion" if champions else "in use: there is no champion"
    for number, by in _shared(category, complete).items():
        if number not in kept and any(one in kept for one in by):
            kept[number] = f"v{min(one for one in by if one in kept)} shares its network"
    uploads = plan_uploads(category, YOUNG, now)
    kept |= uploads.kept
    removed = {number: sum(names.values()) for number, names in files.items() if number not in kept}
    told = {number: why for number, why in sorted(kept.items()) if number in files}
    return Plan(removed, told, frozenset(removed.keys() - complete))


def plan_uploads(category: Category, age: timedelta, now: datetime) -> Plan:
    """What would be removed of incomplete versions whose upload began that long ago; nothing is changed.

    A champion, or the one before it, may be incomplete where somebody who removed it was killed: it stays.
    """
    files = category.files()
    incomplete = {number: names for number, names in files.items() if MANIFEST not in names}
    try:
        used = line(history(category))[-2:]
        kept = dict.fromkeys(incomplete.keys() & {*used}, "it was, or is, the champion")
    except DamagedError as error:
        kept = dict.fromkeys(incomplete, f"it is not known whether it is the champion: {error}")
    kept |= {number: why for number in incomplete.keys() - kept if (why := _may_go_on(category, number, age, now))}
    removed = {number: sum(names.values()) for number, names in incomplete.items() if number not in kept}
    return Plan(removed, kept, frozenset(removed))


def prune(category: Category, found: Plan) -> Plan:
    """Remove what a plan says, unless it is the champion or taken up by now.

    Returns:
        What was done.

    Raises:
        VqiError: The store cannot be written.
    """
    removed, kept = {}, dict(found.kept)
    for number, size in sorted(found.removed.items(), reverse=True):  # what shares files before those whose they are
        why = _stop_upload(category, number) if number in found.incomplete else _hide(category, number)
        if why:
            kept[number] = why
            continue
        removed[number] = size
        names = category.files().get(number, {})
        for name in sorted(names, key=lambda name: name == RESERVED):  # that last: whoever goes on needs its age
            category.store.delete(category.key(f"v{number}/{name}"))
    return Plan(dict(sorted(removed.items())), kept, found.incomplete & removed.keys())


def _shared(category: Category, numbers: Iterable[int]) -> dict[int, list[int]]:
    """The versions whose files others share, as an earlier vqi let them, with those others."""
    found: dict[int, list[int]] = {}
    for number in numbers:
        try:
            of = {*category.manifest(number).shared.values()}
        except UnavailableError:
            raise
        except VqiError:  # what is damaged holds nothing
            continue
        for one in of:
            found.setdefault(one, []).append(number)
    return found


def _may_go_on(category: Category, number: int, age: timedelta, now: datetime) -> str:
    """Why an incomplete version is left; '' where it is not."""
    found = category.reservation(number)
    if found is None or found[0].at is None:
        return "an incomplete upload, and not known how old"
    days = "day" if age == timedelta(days=1) else f"{age / timedelta(days=1):g} days"
    return f"an upload of the last {days}" if now - found[0].at < age else ""


def _stop_upload(category: Category, number: int) -> str:
    """Let nobody take up an incomplete upload any more; why not, where it is left."""
    found = category.reservation(number)
    if found is not None and not category.has(number):
        mark = found[0].model_copy(update={"digest": REMOVED}).model_dump_json().encode()
        if category.store.replace(category.key(f"v{number}/{RESERVED}"), mark, found[1]):
            return ""
    return "its upload goes on"


def _hide(category: Category, number: int) -> str:
    """Make a version incomplete; why not, where it is left.

    Whoever promotes it now looks for the manifest afterwards, as this looks for the champion: one of the two sees the
    other.
    """
    manifest = category.key(f"v{number}/{MANIFEST}")
    whole = category.store.get_tagged(manifest)
    if whole is not None:
        category.store.delete(manifest)
        champion = champion_of(category)
        if champion is not None and champion.version == number:
            category.store.put_bytes(manifest, whole.data)
            return "it became the champion now"
    return ""
