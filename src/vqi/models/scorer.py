"""Photographs in, results out: one by one, or as a stream whose memory does not grow. Subclasses compute them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vqi.artifacts.tensors import FloatArray
from vqi.errors import VqiError
from vqi.models.reading import NAMELESS, Failure, Reader, Source, name_of
from vqi.models.result import Result, boxes_of
from vqi.photographs.decoding import Decoded
from vqi.system.concurrency import in_order

DECODERS = 2  # threads that read and decode while the network computes


class Read(NamedTuple):
    """A photograph that was read, and how long that took."""

    name: str
    decoded: Decoded
    seconds: float


class Scorer(ABC):
    """Scores photographs that ``reader`` reads. It may be used by several threads.

    Attributes:
        threshold: A photograph is flagged when its score is above it.
        map_limit: A place is anomalous when the map is above it.
        version: Of the model; 0 for one that was never published.
        good_scores: (N,), of the good parts that set the threshold; none where they are not known.
    """

    threshold: float
    map_limit: float
    version: int
    good_scores: npt.NDArray[np.float64] = np.zeros(0)

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def score(self, image: Source, *, keep: bool = False) -> Result:
        """Score one photograph; it is scaled to the size that the model sees.

        Args:
            image: A path or ``s3://`` address, the bytes of a file, an open binary file, an array (H, W, 3) uint8 RGB,
                or an image that PIL opened.
            keep: Whether the result holds the photograph, for ``vqi.models.pictures.picture``.

        Raises:
            VqiError: It cannot be read as an image, or its score is not finite.
        """
        return self._scored(self._read(image, name_of(image), keep=keep))

    def score_many(
        self, images: Iterable[Source | Failure], *, keep: bool = False, ahead: bool = True
    ) -> Iterator[Result | Failure]:
        """Score photographs one by one, in their order; none of them, and no result, is kept.

        A photograph's result is the one that ``score`` gives, whichever others there are. One that cannot be scored is
        a ``Failure`` in its place, with its name and the error; it does not end the others. A ``Failure`` among
        ``images`` is passed on.

        Args:
            images: As for ``score``; of any number, such as a generator's.
            keep: As for ``score``.
            ahead: Whether the next few are read and decoded while the network computes. False for images that come
                over time, where a result must not wait for the next image.
        """
        work = partial(self._attempt, keep=keep)
        for one in in_order(images, work, DECODERS) if ahead else map(work, images):
            try:
                yield one if isinstance(one, Failure) else self._scored(one)
            except VqiError as error:
                yield Failure(one.name, error)

    @abstractmethod
    def _scored(self, read: Read) -> Result:
        """The result of a photograph, which does not depend on any other.

        Raises:
            VqiError: It has no score.
        """

    def _result(
        self, read: Read, began: float, *, score: float, flagged: bool, p_value: float, anomaly_map: FloatArray
    ) -> Result:
        """The result of a photograph with what was computed of it, since ``began`` of ``time.perf_counter``.

        Raises:
            VqiError: A value of the map is not finite.
        """
        if not np.isfinite(anomaly_map).all():
            raise VqiError(f"{read.name or NAMELESS}: the score is not finite: train the model again")
        width, height = read.decoded.width, read.decoded.height
        return Result(
            score=score,
            threshold=self.threshold,
            flagged=flagged,
            p_value=p_value,
            map=anomaly_map,
            boxes=boxes_of(anomaly_map, self.map_limit, width, height),
            version=self.version,
            seconds=read.seconds + time.perf_counter() - began,
            name=read.name,
            width=width,
            height=height,
            map_limit=self.map_limit,
            photograph=read.decoded.whole,
        )

    def _read(self, image: Source, name: str, *, keep: bool) -> Read:
        began = time.perf_counter()
        decoded = self._reader.read(image, name, keep=keep)
        return Read(name, decoded, time.perf_counter() - began)

    def _attempt(self, image: Source | Failure, *, keep: bool) -> Read | Failure:
        if isinstance(image, Failure):
            return image
        name = ""
        try:
            name = name_of(image)
            return self._read(image, name, keep=keep)
        except VqiError as error:
            return Failure(name, error)
