"""The files of a shard, read by several threads within the memory that is granted."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from vqi.photographs.cost import cost
from vqi.photographs.decoding import Largest, UnreadableImage, largest_value
from vqi.photographs.depth import may_be_deep
from vqi.photographs.opening import upright_size
from vqi.sizes import Size
from vqi.system import processor
from vqi.system.memory import MemoryBudget, give_back_large_blocks

BEGIN = 32  # bytes of a file that say whether it can be deeper than 8 bits


class Source:
    """A shard that is open. What is read from it and decoded at a time takes at most half of the memory granted."""

    def __init__(self, archive: zipfile.ZipFile, max_pixels: int) -> None:
        give_back_large_blocks()
        self._archive, self._max_pixels = archive, max_pixels
        self._budget = MemoryBudget(processor.granted_memory() // 2)

    @contextmanager
    def read(self, image: str, mask: str | None = None) -> Iterator[tuple[bytes, bytes | None]]:
        """The bytes of an image and of its mask, once there is memory to decode one after the other."""
        needed = self._cost(image)
        if mask:
            needed = max(needed + self._bytes(mask), self._cost(mask) + self._bytes(image))
        with self._budget.hold(needed):
            yield self._archive.read(image), self._archive.read(mask) if mask else None

    def may_be_deep(self, image: str) -> bool:
        """Whether an image can have more than 8 bits per value, from its first bytes."""
        with self._archive.open(image) as file:
            return may_be_deep(file.read(BEGIN))

    def shape(self, image: str) -> Size | None:
        """The size of an image in its file; None where it has none."""
        with self._archive.open(image) as file:
            return upright_size(file)

    def largest(self, image: str) -> Largest | None:
        """The largest value of an image; None up to 8 bits, and where it cannot be read, which is said later."""
        with self.read(image) as (data, _):
            try:
                return largest_value(data, image, self._max_pixels)
            except UnreadableImage:
                return None

    def _cost(self, path: str) -> int:
        with self._archive.open(path) as file:
            return cost(file, self._bytes(path))

    def _bytes(self, path: str) -> int:
        return self._archive.getinfo(path).file_size
