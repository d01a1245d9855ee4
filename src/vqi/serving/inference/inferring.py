"""The body of a request -> the body of its response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from vqi import strict_json
from vqi.errors import VqiError
from vqi.models.reading import Source, Stored
from vqi.models.result import Pixels, Result
from vqi.models.scorer import Scorer
from vqi.records import parse
from vqi.serving.inference.records import (
    OUTPUTS,
    BinarySize,
    InferenceRequest,
    InferenceResponse,
    OutputName,
    OutputRequest,
    OutputTensor,
)
from vqi.serving.inference.tensors import array_of, photographs_of, wrong

MOST_JSON = 8 << 20  # bytes; reading it takes two seconds
_SEE = "see docs/serving.md"


@dataclass(frozen=True)
class Reply:
    """A response, and what it says of how many photographs."""

    body: bytes
    json_bytes: int | None  # of the body, where binary data comes after them
    results: list[Result]


def infer(name: str, scorer: Scorer, body: bytes, header: str | None) -> Reply:
    """The response of a model.

    Args:
        name: Of the model.
        scorer: The version that scores.
        body: Of the request.
        header: The value of ``Inference-Header-Content-Length``: how many bytes of the body are JSON.

    Raises:
        RefusedError: The request does not follow the protocol.
        VqiError: A photograph cannot be read, or has no score.
    """
    text, binary = _split(body, header)
    request = _request(text)
    tensor = request.inputs[0]
    size = tensor.parameters.binary_data_size
    if len(binary) != (size or 0):
        raise wrong(f"expected {size or 0:,} bytes after the JSON, as 'binary_data_size' says, got {len(binary):,}")
    photographs: Sequence[Pixels | bytes] = photographs_of(tensor, None if size is None else binary)
    named = [_named(one, number, len(photographs)) for number, one in enumerate(photographs)]
    results = [scorer.score(one) for one in named]
    return _reply(name, scorer.version, request, results)


def _named(photograph: Pixels | bytes, number: int, of: int) -> Source:
    """For errors: which of several it is."""
    if not isinstance(photograph, bytes):
        return photograph
    return Stored("the photograph" if of == 1 else f"photograph {number} of {of}", partial(bytes, photograph))


def _split(body: bytes, header: str | None) -> tuple[bytes, bytes]:
    """The JSON and the binary data after it."""
    if header is None:
        length = len(body)
    elif header.isascii() and header.isdecimal() and len(header) < 20 and int(header) <= len(body):
        length = int(header)
    else:
        raise wrong(
            f"Inference-Header-Content-Length: expected the bytes of JSON, at most the {len(body):,} of the body, got "
            f"'{header[:40]}'"
        )
    if length > MOST_JSON:
        raise wrong(f"{length:,} bytes of JSON: at most {MOST_JSON:,} are taken: send the tensor as binary data")
    return body[:length], body[length:]


def _request(text: bytes) -> InferenceRequest:
    try:
        content: Any = strict_json.loads(text)
    except ValueError as error:
        raise wrong(f"the request is not JSON: {error}; {_SEE}") from error
    try:
        request = parse(InferenceRequest, content, "the request", _SEE)
    except VqiError as error:
        raise wrong(str(error)) from error
    names = [one.name for one in request.outputs or ()]
    if len(names) != len(set(names)):
        raise wrong(f"outputs: expected each once, got {', '.join(names)}")
    return request


def _reply(name: str, version: int, request: InferenceRequest, results: list[Result]) -> Reply:
    wanted = request.outputs or tuple(OutputRequest(name=one) for one in OUTPUTS)
    tensors, binary = [], bytearray()
    for one in wanted:
        array = array_of(one.name, results)
        data = array.tobytes() if _is_binary(one, request) else None
        tensors.append(_tensor(one.name, array, data))
        binary += data or b""
    response = InferenceResponse(
        model_name=name, model_version=str(version), id=request.id, outputs=tuple(tensors)
    ).model_dump_json(exclude_none=True).encode()  # fmt: skip
    is_binary = any(one.parameters for one in tensors)
    return Reply(response + bytes(binary), len(response) if is_binary else None, results)


def _is_binary(output: OutputRequest, request: InferenceRequest) -> bool:
    said = output.parameters.binary_data
    return request.parameters.binary_data_output if said is None else said


def _tensor(name: OutputName, array: npt.NDArray[Any], data: bytes | None) -> OutputTensor:
    return OutputTensor(
        name=name,
        datatype="BOOL" if array.dtype == np.bool_ else "FP32",
        shape=array.shape,
        parameters=None if data is None else BinarySize(binary_data_size=len(data)),
        data=array.ravel().tolist() if data is None else None,
    )
