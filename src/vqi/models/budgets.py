"""What a model costs, against what it may cost: the bytes of its package, and the time that one photograph takes.

A time is measured, and a machine has other work to do. So each photograph is scored several times and its shortest time
counts, which other work can only lengthen; and where there is a champion, the two models take turns, so that a slow or
busy machine is slow for both. A new model is rejected only where the champion keeps the bound beside it.

Source: the minimum of repeated times: Python's ``timeit``, note on ``Timer.repeat``.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vqi.config import Publish
from vqi.datasets.layout import place_of
from vqi.datasets.shards import open_shard
from vqi.errors import UnavailableError, VqiError
from vqi.models.category import Category, names_of
from vqi.models.gate import Opinion
from vqi.models.manifest import FILES
from vqi.models.reading import Failure
from vqi.progress import message
from vqi.system.scratch import scratch_folder

if TYPE_CHECKING:
    from vqi.models.model import Model
    from vqi.models.scorer import Scorer

PHOTOGRAPHS = 8  # that are timed
ROUNDS = 6  # how often each of them is; the first one compiles the network
_MEGABYTE = 1_000_000


class Times(NamedTuple):
    """What one photograph takes, from the bytes of its file to its score."""

    new: float  # milliseconds
    champion: float | None  # in turns with it; None where there is none, or it cannot be loaded
    engine: str  # of the new model, with its precision


def within_budgets(category: Category, number: int, champion: int, settings: Publish) -> list[Opinion]:
    """What the gate says of the bounds that are set, none where none is.

    Args:
        category: Of the version.
        number: Of the version.
        champion: The version that is used; 0 for none.
        settings: Of the gate, with the dataset whose photographs are timed.

    Raises:
        UnavailableError: The store does not respond.
    """
    found = []
    if settings.max_megabytes:
        found.append(judge_size(package_bytes(category, number) / _MEGABYTE, settings.max_megabytes))
    if settings.max_milliseconds:
        try:
            found.append(judge_time(_times(category, number, champion, settings.dataset), settings.max_milliseconds))
        except UnavailableError:
            raise
        except VqiError as error:
            found.append(Opinion("held", (f"its time per photograph is bounded, and cannot be measured: {error}",)))
    return found


def judge_size(megabytes: float, most: float) -> Opinion:
    """Of the size of a package."""
    told = f"the package has {megabytes:.3g} MB"
    if megabytes > most:
        return Opinion("rejected", (f"{told}: more than the {most:g} MB that are allowed",))
    return Opinion("promoted", (f"{told}, {most:g} MB are allowed",))


def judge_time(times: Times, most: float) -> Opinion:
    """Of the time per photograph, and the champion's beside it."""
    beside = "" if times.champion is None else f", the champion {times.champion:.3g} ms in turns with it"
    told = f"{times.new:.3g} ms per photograph with {times.engine}{beside}"
    if times.new <= most:
        return Opinion("promoted", (f"{told}, {most:g} ms are allowed",))
    if times.champion is None:
        why = f"more than the {most:g} ms that are allowed, with no champion to tell whether it is this machine"
        return Opinion("held", (f"{told}: {why}",))
    if times.champion > most:
        return Opinion("held", (f"{told}: both more than the {most:g} ms that are allowed, so it may be this machine",))
    return Opinion("rejected", (f"{told}: more than the {most:g} ms that are allowed, which the champion keeps",))


def package_bytes(category: Category, number: int) -> int:
    """The size of a version's files, those that others share with it among them."""
    files, manifest, networks = category.files(), category.manifest(number), category.backbones.all()
    return sum(
        networks[manifest.files[name]].size
        if name in manifest.by_digest
        else files.get(manifest.shared.get(name, number), {}).get(name, 0)
        for name in FILES
    )


def milliseconds(scorers: Sequence[Scorer], photographs: Sequence[bytes]) -> list[float]:
    """What one photograph takes with each scorer: the median over photographs of the shortest of several times.

    Args:
        scorers: They take turns.
        photographs: Files; those that cannot be read are left out.

    Raises:
        VqiError: None can be read.
    """
    shortest = np.full((len(scorers), len(photographs)), np.inf)
    for _ in range(ROUNDS):
        for place, data in enumerate(photographs):
            for row, scorer in enumerate(scorers):
                for result in scorer.score_many([data], ahead=False):
                    if not isinstance(result, Failure):
                        shortest[row, place] = min(shortest[row, place], result.seconds)
    read = np.isfinite(shortest).all(axis=0)
    if not read.any():
        raise VqiError(f"none of {len(photographs)} photographs can be read")
    return [float(1000 * np.median(times[read])) for times in shortest]


def _times(category: Category, number: int, champion: int, dataset: str) -> Times:
    if not dataset:
        raise VqiError("dataset: expected the uri of the dataset whose photographs are timed, got none")
    photographs = _photographs(dataset, names_of(category)[1])
    new, old = _model(category, number), None
    if champion:
        try:
            old = _model(category, champion)
        except UnavailableError:
            raise
        except VqiError as error:
            message(f"note: v{champion} is not timed: {error}")
    found = milliseconds([new] if old is None else [new, old], photographs)
    runtime = new.runtime
    return Times(found[0], found[1] if old is not None else None, f"{runtime.engine} {runtime.precision}")


def _model(category: Category, number: int) -> Model:
    from vqi.models.model import Model  # torch takes seconds to import

    return Model(category.uri_of(number))


def _photographs(dataset: str, category: str) -> list[bytes]:
    """The files of some photographs of a category, from all over it."""
    with scratch_folder() as scratch, zipfile.ZipFile(open_shard(dataset, category, scratch).path) as archive:
        places = {path: place_of(path) for path in archive.namelist()}
        paths = sorted(path for path, place in places.items() if place is not None and place.split != "ground_truth")
        chosen = np.linspace(0, len(paths) - 1, min(PHOTOGRAPHS, len(paths))).round().astype(int)
        return [archive.read(paths[place]) for place in chosen]
