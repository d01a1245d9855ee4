"""safetensors with a header that says what made them; read by memory mapping.

A file is checked as a whole before a number of it is used: by the library that defines the format (offsets without
gaps or overlaps, sizes that fit the shapes, nothing behind the end), and by what is known of each artifact's arrays.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from vqi import strict_json
from vqi.artifacts.files import Json, atomic_path
from vqi.digests import digest_json
from vqi.errors import VqiError
from vqi.system.files import open_regular
from vqi.system.os_errors import reason

FloatArray = npt.NDArray[np.float32]
Arrays = dict[str, npt.NDArray[Any]]
Form = tuple[str, tuple[int | None, ...]]  # what an array must be: its dtype, and its shape, None for any length

LENGTH = struct.Struct("<Q")  # of the header, at the beginning of a file
LAYOUT = "layout"  # a key of the metadata; a file that was saved again by others may lack it
_METADATA = "__metadata__"
_DTYPES = {  # of what numpy has, too
    "BOOL": "?", "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "I8": "i1", "I16": "<i2", "I32": "<i4",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}
NewForm = tuple[Any, tuple[int, ...]]  # of an array that is made: its dtype and its shape


def save_tensors(path: Path, kind: str, tensors: Mapping[str, npt.NDArray[Any]], header: Mapping[str, Any]) -> None:
    """Write arrays of a format ``kind`` (such as ``vqi.features/1``) with a provenance header."""
    forms = {name: (array.dtype, array.shape) for name, array in tensors.items()}
    with new_tensors(path, kind, forms, header) as arrays:
        for name, array in tensors.items():
            arrays[name][...] = array


@contextmanager
def new_tensors(path: Path, kind: str, forms: Mapping[str, NewForm], header: Mapping[str, Any]) -> Iterator[Arrays]:
    """Arrays to fill, in a file that is there, whole, when the block ends without an error.

    They are memory-mapped: what they hold may be larger than the memory.

    Args:
        path: The file.
        kind: Its format.
        forms: Of each array its dtype and its shape.
        header: The provenance.

    Raises:
        OSError: The file cannot be written, or there is no room for it.
    """
    entries, size = _laid_out(forms)
    meta = {**tensor_metadata(kind, header), LAYOUT: layout_of(entries)}
    text = json.dumps({_METADATA: dict(sorted(meta.items())), **entries}, separators=(",", ":"), ensure_ascii=False)
    head = text.encode()
    head += b" " * (-len(head) % LENGTH.size)  # the arrays stay aligned
    start = LENGTH.size + len(head)
    with atomic_path(path) as temporary:
        with temporary.open("xb") as file:
            file.write(LENGTH.pack(len(head)) + head)
            file.flush()
            if size:  # a full disk is an error now, and would be a signal when a page is written
                os.posix_fallocate(file.fileno(), start, size)
        arrays = {name: _map_array(temporary, name, entry, start, "r+") for name, entry in entries.items()}
        yield arrays
        for array in arrays.values():
            if isinstance(array, np.memmap):  # not one without elements
                array.flush()


def _laid_out(forms: Mapping[str, NewForm]) -> tuple[dict[str, Json], int]:
    """What a header says of arrays, and their bytes in all: the largest elements first, so that each is aligned."""
    entries: dict[str, Json] = {}
    end = 0
    for name in sorted(forms, key=lambda name: (-np.dtype(forms[name][0]).itemsize, name)):
        dtype, shape = np.dtype(forms[name][0]), forms[name][1]
        begin, end = end, end + dtype.itemsize * math.prod(shape)
        entries[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
    return entries, end


def load_tensors(path: Path, kind: str, again: str) -> tuple[Arrays, Json]:
    """Memory-map all arrays of a safetensors file.

    Args:
        path: The file.
        kind: Its format.
        again: What to do where it is damaged, such as "run evaluate again".

    Returns:
        The arrays by name (read-only, nothing is copied) and the header's provenance.

    Raises:
        VqiError: The file is missing, damaged or of another format.
    """
    try:
        header, offset = _read_header(path)
        meta = header.pop(_METADATA, None)
        got = meta.get("format") if isinstance(meta, dict) else None
        if not isinstance(meta, dict) or got != kind:
            raise VqiError(f"{path}: expected format '{kind}', got '{got}'; give the artifact of that step")
        if meta.get(LAYOUT, layout := layout_of(header)) != layout:
            raise ValueError("arrays at other places than when it was written")
        arrays = {name: _map_array(path, name, entry, offset) for name, entry in header.items()}
        provenance = strict_json.loads(meta.get("provenance", ""))
    except (OSError, ValueError, SafetensorError) as error:
        raise VqiError(f"{path}: expected a safetensors file, got: {reason(error)}; {again}") from error
    if not isinstance(provenance, dict):
        raise VqiError(f"{path}: expected an object as its provenance, got {type(provenance).__name__}; {again}")
    return arrays, provenance


def check_forms(path: Path, arrays: Mapping[str, npt.NDArray[Any]], forms: Mapping[str, Form], again: str) -> None:
    """Refuse arrays that are not exactly those of ``forms``.

    Raises:
        VqiError: One is missing, unknown, or of another dtype or shape.
    """
    if arrays.keys() != forms.keys():
        want, got = (", ".join(sorted(names)) or "none" for names in (forms, arrays))
        raise VqiError(f"{path}: expected the arrays {want}, got {got}; {again}")
    for name, (dtype, shape) in forms.items():
        array = arrays[name]
        fits = len(shape) == array.ndim and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
        if array.dtype != np.dtype(dtype) or not fits:
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            raise VqiError(
                f"{path}: array '{name}': expected {dtype} ({wanted}), got {array.dtype} {array.shape}; {again}"
            )


def layout_of(entries: Mapping[str, Any]) -> str:
    """The digest of what a header says of its arrays, which it keeps as `LAYOUT`: two that changed places are seen."""
    return digest_json(entries)


def tensor_metadata(kind: str, header: Mapping[str, Any]) -> dict[str, str]:
    """The ``__metadata__`` of a safetensors file of format ``kind``."""
    return {"format": kind, "provenance": json.dumps(header, sort_keys=True, ensure_ascii=False)}


def _read_header(path: Path) -> tuple[Json, int]:
    """The header of a file that fits it, and the offset of the data.

    Raises:
        OSError, ValueError, SafetensorError: It cannot be read, or does not fit.
    """
    with open_regular(path) as file:
        start = file.read(LENGTH.size)
        if len(start) < LENGTH.size:
            raise ValueError(f"a file of {len(start)} bytes")
        (length,) = LENGTH.unpack(start)
        if length > strict_json.MOST_BYTES:
            raise ValueError(f"a header of {length} bytes")
        text = file.read(length)
    try:
        with safe_open(path, framework="numpy"):
            pass  # opening checks it
    except SafetensorError as error:
        if "not fully covered" in str(error):
            raise ValueError("a file that is cut short, or has bytes that belong to no array") from error
        raise
    header = strict_json.loads(text)
    if not isinstance(header, dict):
        raise ValueError("a header that is no object")
    return header, LENGTH.size + length


def _map_array(path: Path, name: str, entry: Json, offset: int, mode: Literal["r", "r+"] = "r") -> npt.NDArray[Any]:
    """An array of a file that was checked, or that is being made."""
    if entry["dtype"] not in _DTYPES:
        raise ValueError(f"array '{name}' of the type {entry['dtype']}")
    dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
    begin, end = entry["data_offsets"]
    if begin == end:
        return np.zeros(shape, dtype)
    mapped: npt.NDArray[Any] = np.memmap(path, dtype=dtype, mode=mode, offset=offset + begin, shape=shape)
    if dtype == np.bool_ and mapped.view(np.uint8).max() > 1:
        raise ValueError(f"array '{name}' of truth values with a byte that is neither 0 nor 1")
    return mapped.reshape(shape)  # a memmap has at least one dimension
