"""A model that is made up, without torch, and a service of it. What reads photographs is real."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

from vqi.errors import VqiError
from vqi.models.reading import Reader
from vqi.models.result import Box, Result
from vqi.models.scorer import Read, Scorer
from vqi.records import Record
from vqi.serving.app import create_app
from vqi.serving.keeping import Keeping
from vqi.serving.limits import Limits
from vqi.serving.models import Models
from vqi.sizes import square
from vqi.store.folder import FolderStore
from vqi.verdicts.book import Book

THRESHOLD = 100.0
MAX_PIXELS = 200 * 200
BROKEN = 255.0  # the score of a photograph that this model cannot score


class MadeUp(Scorer):
    """The score is the mean of the pixels. Scoring waits while ``gate`` is not set."""

    threshold = THRESHOLD

    def __init__(self, version: int = 1) -> None:
        super().__init__(Reader(square(8), MAX_PIXELS, None))
        self.version = version
        self.good_scores = np.linspace(20.0, 120.0, 50)
        self.gate, self.entered = threading.Event(), threading.Semaphore(0)
        self.gate.set()
        self.scored = 0

    def _scored(self, read: Read) -> Result:
        self.entered.release()
        self.gate.wait()
        score, decoded = float(read.decoded.pixels.mean(dtype=np.float64)), read.decoded
        if score == BROKEN:
            raise VqiError("the score is not finite: train the model again")
        self.scored += 1
        boxes = (Box(1, 2, 3, 4),) if decoded.width >= 4 and decoded.height >= 6 else ()  # within the photograph
        return Result(
            score, THRESHOLD, score > THRESHOLD, 0.25, np.array([[1, 3], [0, 2]], np.float32), boxes, self.version, 0.5,
            read.name, decoded.width, decoded.height, 2.0, decoded.whole,
        )  # fmt: skip


def photograph(value: int = 150, width: int = 20, height: int = 10, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (value, value, value)).save(file, kind)
    return file.getvalue()


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def keeping(folder: Path, *names: str, photographs: bool = True) -> Keeping:
    """What keeps the verdicts on models in a store of its own."""
    store = FolderStore(folder)
    return Keeping({name: Book(store, "parts", name) for name in names or ("bracket",)}, photographs)


class Serving:
    """A service of made-up models, a client of it, and the lines that it logged."""

    def __init__(self, *names: str, **options: Any) -> None:
        self.scorers = {name: MadeUp(7) for name in names or ("bracket",)}
        self.lines: list[dict[str, Any]] = []
        models = Models({name: name for name in self.scorers}, self.scorers.__getitem__, find=lambda uri: uri)
        self.app = create_app(models, log=self._note, **options)
        for scorer in self.scorers.values():
            scorer.entered.acquire()  # the one that each scores before it is served
            scorer.scored = 0
        self.client = TestClient(self.app, raise_server_exceptions=False)

    @property
    def scorer(self) -> MadeUp:
        return next(iter(self.scorers.values()))

    def metric(self, line: str) -> float:
        """The value of a line of the metrics, by what is before it."""
        text = self.client.get("/metrics").text
        return float(next(one for one in text.splitlines() if one.startswith(f"{line} ")).rpartition(" ")[2])

    def _note(self, line: Record) -> None:
        self.lines.append(line.model_dump(exclude_none=True))


@contextmanager
def serving(*names: str, **options: Any) -> Iterator[Serving]:
    service = Serving(*names, **options)
    with service.client:
        yield service


def small(**changes: Any) -> Limits:
    return Limits(**{"body": 20_000, "bodies": 100_000, "queue": 2, "seconds": 5.0} | changes)


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What ``work`` returns for each number, all at a time."""
    found: list[Any] = [None] * count

    def one(number: int) -> None:
        found[number] = work(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
