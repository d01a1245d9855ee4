"""Checkpoints in the first format of ``torch.save``, read without torch.

Such a file is a row of pickles (a magic number, the version, facts of the system, the content, the keys of its
storages) and then each storage: its length and its numbers. Source: ``torch.serialization``, ``_legacy_save``.
"""

from __future__ import annotations

import pickle  # noqa: TID251  packages come in this format; nothing in them is looked up or run
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_LENGTH = 8  # bytes of the length of a storage
_STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}

Array = npt.NDArray[Any]


def read_torch_file(path: Path) -> dict[str, Array]:
    """The tensors of a ``state_dict``, by name.

    Raises:
        ValueError, EOFError, pickle.UnpicklingError: Another format, or a file that is cut short.
    """
    with path.open("rb") as file:
        if _plain(file) != _MAGIC or _plain(file) != _VERSION:
            raise ValueError(f"{path}: expected a file of torch.save in its first format")
        _plain(file)
        content = _Tensors(file)
        tensors = content.load()
        for key in _plain(file):
            storage = content.storages[key]
            length = int.from_bytes(file.read(_LENGTH), "little")
            if length != storage.size or file.readinto(storage.data) != storage.nbytes:
                raise ValueError(f"{path}: expected {storage.size} numbers in the storage {key}, got fewer")
    return dict(tensors)


def _plain(file: BinaryIO) -> Any:
    """The next pickle of a file, of numbers, texts, lists and dicts alone."""
    return _Plain(file).load()


class _Plain(pickle.Unpickler):
    """Looks no name up, so that nothing in a pickle runs."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"expected tensors alone, got {module}.{name}")


class _Tensors(_Plain):
    """The content: tensors are views into storages, whose numbers come later in the file."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, Array] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        return super().find_class(module, name)

    def persistent_load(self, saved: tuple[Any, ...]) -> Array:
        """A storage, by ("storage", its kind, its key, its device, its length, the view of another one)."""
        kind, dtype, key, _, length, view = saved
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"expected a storage, got {kind}")
        if key not in self.storages:
            self.storages[key] = np.zeros(length, dtype)
        return self.storages[key]


def _tensor(storage: Array, offset: int, shape: Sequence[int], strides: Sequence[int], *_: object) -> Array:
    """A tensor as a view; strides are in numbers."""
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if min((offset, *shape, *strides)) < 0 or last >= storage.size:
        raise pickle.UnpicklingError("a tensor that is outside of its storage")
    in_bytes = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, in_bytes, writeable=False)
