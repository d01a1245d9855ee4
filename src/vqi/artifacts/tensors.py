"""safetensors with a header that says what made them; read by memory mapping."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save as to_safetensors

from vqi.artifacts.files import Json, atomic_path
from vqi.errors import VqiError
from vqi.system.os_errors import reason

FloatArray = npt.NDArray[np.float32]

LENGTH = struct.Struct("<Q")  # of the header, at the beginning of a file
_DTYPES = {"U8": "u1", "BOOL": "?", "F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8"}


def save_tensors(path: Path, kind: str, tensors: Mapping[str, npt.NDArray[Any]], header: Mapping[str, Any]) -> None:
    """Write arrays of a format ``kind`` (such as ``vqi.features/1``) with a provenance header."""
    contiguous = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    write_safetensors(path, to_safetensors(contiguous, metadata=tensor_metadata(kind, header)))


def write_safetensors(path: Path, data: bytes) -> None:
    """Write what safetensors serialised, whole or not at all, with the metadata in a fixed order.

    The library writes the metadata in the random order of a hash map; the same input must give the same bytes.
    """
    (length,) = LENGTH.unpack_from(data)
    end = LENGTH.size + length
    header = json.loads(data[LENGTH.size : end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % LENGTH.size)  # the arrays stay aligned
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(LENGTH.pack(len(text)) + text)
        file.write(memoryview(data)[end:])


def load_tensors(path: Path, kind: str, names: Sequence[str]) -> tuple[dict[str, npt.NDArray[Any]], Json]:
    """Memory-map the arrays of a safetensors file.

    Returns:
        The named arrays (read-only, nothing is copied) and the header's provenance.

    Raises:
        VqiError: The file is missing, damaged, of another format, or lacks an array.
    """
    header, offset, size = _read_header(path)
    meta = header.pop("__metadata__", {})
    if meta.get("format") != kind:
        raise VqiError(f"{path}: expected format '{kind}', got '{meta.get('format')}'; give the artifact of that step")
    missing = [name for name in names if name not in header]
    if missing:
        raise VqiError(
            f"{path}: expected array '{missing[0]}', got {sorted(header)}; run the step that writes it again"
        )
    arrays = {name: _map_array(path, header[name], offset, size) for name in names}
    return arrays, json.loads(meta["provenance"])


def tensor_names(path: Path) -> list[str]:
    """The names of the arrays in a safetensors file.

    Raises:
        VqiError: The file is missing or damaged.
    """
    return sorted(set(_read_header(path)[0]) - {"__metadata__"})


def tensor_metadata(kind: str, header: Mapping[str, Any]) -> dict[str, str]:
    """The ``__metadata__`` of a safetensors file of format ``kind``."""
    return {"format": kind, "provenance": json.dumps(header, sort_keys=True, ensure_ascii=False)}


def _read_header(path: Path) -> tuple[Json, int, int]:
    """The JSON header, the offset of the data and the file's size in bytes."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = LENGTH.unpack(file.read(LENGTH.size))
            if length > size:
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            header = json.loads(file.read(length))
    except (OSError, ValueError, struct.error) as error:
        raise VqiError(
            f"{path}: expected a safetensors file, got: {reason(error)}; run the step that writes it again"
        ) from error
    return header, LENGTH.size + length, size


def _map_array(path: Path, entry: Json, offset: int, size: int) -> npt.NDArray[Any]:
    begin, end = entry["data_offsets"]
    if offset + end > size:
        raise VqiError(f"{path}: expected {offset + end} bytes, got {size}: the file is cut short; write it again")
    dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
    if begin == end:
        return np.zeros(shape, dtype)
    mapped: npt.NDArray[Any] = np.memmap(path, dtype=dtype, mode="r", offset=offset + begin, shape=shape)
    return mapped.reshape(shape)  # a memmap has at least one dimension
