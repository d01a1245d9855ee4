"""Input tensors -> photographs; results -> output tensors."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi.models.result import Pixels, Result
from vqi.serving.inference.records import MOST_IMAGES, InputTensor, OutputName
from vqi.serving.refusals import RefusedError

_LENGTH = struct.Struct("<I")  # before each element of a BYTES tensor


def wrong(text: str) -> RefusedError:
    """The refusal of a request that does not follow the protocol."""
    return RefusedError(400, "request", text)


def photographs_of(tensor: InputTensor, binary: bytes | None) -> list[Pixels] | list[bytes]:
    """The photographs in an input tensor: pixels (H, W, 3), or the bytes of image files.

    Args:
        tensor: The input.
        binary: Its data, where that is not in the JSON.

    Raises:
        RefusedError: The data is not what datatype and shape say.
    """
    if tensor.shape[0] > MOST_IMAGES:
        raise wrong(f"shape {list(tensor.shape)}: at most {MOST_IMAGES} images are taken at a time")
    if (binary is None) == (tensor.data is None):
        raise wrong("input 'image': expected either 'data' or the parameter 'binary_data_size'")
    if tensor.datatype == "UINT8":
        return list(_pixels(tensor, binary))
    if len(tensor.shape) != 1:
        raise wrong(f"input 'image' of BYTES: expected the shape [N], got {list(tensor.shape)}")
    files = list(_texts(tensor.data) if binary is None else _elements(binary))
    if len(files) != tensor.shape[0]:
        raise wrong(f"input 'image': expected {tensor.shape[0]} elements as its shape says, got {len(files)}")
    return files


def _pixels(tensor: InputTensor, binary: bytes | None) -> npt.NDArray[np.uint8]:
    """(N, H, W, 3)."""
    shape = tensor.shape
    if len(shape) != 4 or shape[3] != 3:
        raise wrong(f"input 'image' of UINT8: expected the shape [N, height, width, 3], got {list(shape)}")
    size = math.prod(shape)
    values = _numbers(tensor.data, shape) if binary is None else np.frombuffer(binary, np.uint8)
    if values.size != size:
        raise wrong(f"input 'image': expected {size:,} values as its shape says, got {values.size:,}")
    return values.reshape(shape)


def _numbers(data: Any, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Values from JSON, flat or nested."""
    expected = "input 'image' of UINT8: expected whole numbers from 0 to 255, flat or nested as its shape"
    try:
        values = np.array(data)
    except (ValueError, OverflowError) as error:  # lists of several lengths, or a number that is too large
        raise wrong(expected) from error
    if values.dtype.kind not in "iu" or (values.ndim != 1 and values.shape != shape):
        raise wrong(f"{expected}, got {values.dtype} {list(values.shape)}")
    if values.size and not (values.min() >= 0 and values.max() <= 255):
        raise wrong(f"{expected}, got {values.min()} to {values.max()}")
    return values.astype(np.uint8)


def _texts(data: Any) -> Iterator[bytes]:
    """Image files from JSON, which has no bytes."""
    if not isinstance(data, list) or not all(isinstance(one, str) for one in data):
        raise wrong("input 'image' of BYTES: expected a list of image files as texts in base64")
    for number, text in enumerate(data):
        try:
            yield base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise wrong(f"input 'image': element {number} is not base64: {error}") from error


def _elements(binary: bytes) -> Iterator[bytes]:
    """The elements of a BYTES tensor, each after its length, 4 bytes little-endian."""
    at = 0
    while at < len(binary):
        start = at + _LENGTH.size
        end = start + _LENGTH.unpack_from(binary, at)[0] if start <= len(binary) else start
        if end > len(binary):
            raise wrong("input 'image' of BYTES: the data ends within an element: each has its length before it")
        yield binary[start:end]
        at = end


def array_of(name: OutputName, results: Sequence[Result]) -> npt.NDArray[Any]:
    """An output of the results: (N), or (N, h, w) for the maps; float32 or bool."""
    if name == "anomaly_map":
        return np.stack([one.map for one in results]).astype(np.float32)
    if name == "anomalous":
        return np.array([one.flagged for one in results])
    return np.array([one.score if name == "score" else one.p_value for one in results], np.float32)
