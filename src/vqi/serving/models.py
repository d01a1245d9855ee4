"""The models that are served, by the name of their category, and how each is replaced by its next version."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from enum import Enum

import numpy as np

from vqi.errors import UnavailableError, VqiError, printable, unknown
from vqi.models.scorer import Scorer
from vqi.serving.refusals import RefusedError

_SIDE = 8  # pixels of the image that a model scores before it is served: its network is compiled by that


Load = Callable[[str], Scorer]  # the uri of a version -> that version
Find = Callable[[str], str]  # the uri of a category, or of a version -> that of the version to serve


class Change(Enum):
    """What a look for a new version found."""

    NONE = "none"
    SWAPPED = "swapped"
    FAILED = "failed"  # there is one, and it does not load
    AWAY = "away"  # the store does not respond, or has no model there any more


class Served:
    """One category. A version is loaded beside the one that is served, and takes its place between two requests.

    Raises:
        VqiError: There is no model at that place, or it does not load.
    """

    def __init__(self, name: str, place: str, load: Load, find: Find) -> None:
        self.name, self.place = name, place
        self._load, self._find = load, find
        self._uri = find(place)
        self._failed, self._why = "", ""  # the uri of a version that does not load
        self.note = ""  # what a person should know, although scores are given
        self.now = self._ready(self._uri)

    def refresh(self) -> Change:
        """Look for the version to serve, and serve it if it is another one. The old one is kept if that fails."""
        try:
            uri = self._find(self.place)
        except Exception as error:  # whatever it is, the service must go on, and look again
            self.note = f"version {self.now.version} is kept: no look for another one: {_said(error)}"
            return Change.AWAY
        if uri == self._uri:
            self.note = ""
            return Change.NONE
        if uri == self._failed:  # once is enough: loading takes seconds of the processor
            self.note = self._why
            return Change.NONE
        return self._replace(uri)

    def at(self, version: str | None) -> Scorer:
        """What is served now.

        Raises:
            RefusedError: It is not the version that was asked for.
        """
        now = self.now
        if version is not None and version != str(now.version):
            raise RefusedError(
                404, "model", f"version '{version}' of '{self.name}' is not served: expected '{now.version}', or none"
            )
        return now

    def _replace(self, uri: str) -> Change:
        try:
            self.now, self._uri = self._ready(uri), uri
        except UnavailableError as error:
            self.note = f"version {self.now.version} is kept: {error}"
            return Change.AWAY
        except Exception as error:  # of whatever library: the service must go on with what it has
            self._failed = uri
            self.note = self._why = f"version {self.now.version} is kept: {uri} does not load: {_said(error)}"
            return Change.FAILED
        self.note = ""
        return Change.SWAPPED

    def _ready(self, uri: str) -> Scorer:
        """A version that has scored once."""
        loaded = self._load(uri)
        loaded.score(np.zeros((_SIDE, _SIDE, 3), np.uint8))
        return loaded


def _said(error: Exception) -> str:
    """What an error says; of one that is no user's, also where it comes from, on standard error."""
    if isinstance(error, VqiError):
        return str(error)
    traceback.print_exception(error)
    return printable(f"{type(error).__name__}: {error}")


class Models:
    """All that are served.

    Args:
        places: The uri of each category, or of a version of it, by the category's name.
        load: What loads a version.
        find: What names the version to serve, such as ``vqi.serving.finding.current_at``.

    Raises:
        VqiError: One of them is not there, or does not load.
    """

    def __init__(self, places: Mapping[str, str], load: Load, find: Find) -> None:
        if not places:
            raise VqiError("no models to serve: name a model, or a store with some")
        self._served = {name: Served(name, place, load, find) for name, place in sorted(places.items())}

    def __iter__(self) -> Iterator[Served]:
        return iter(self._served.values())

    def named(self, name: str) -> Served:
        """The one of that name; the only one where the name is ''.

        Raises:
            RefusedError: There is none, or there are several.
        """
        if not name and len(self._served) == 1:
            return next(iter(self))
        if not name:
            known = ", ".join(list(self._served)[:10])
            raise RefusedError(400, "model", f"several models are served: name one with ?model=NAME: {known}")
        if name not in self._served:
            raise RefusedError(404, "model", str(unknown("model", name[:80], self._served)))
        return self._served[name]
