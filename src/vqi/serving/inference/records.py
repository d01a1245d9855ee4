"""What a request and a response hold as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from vqi.records import Record

INPUT = "image"
MOST_IMAGES = 64  # in one request
_LONGEST = 2**31 - 1  # of a side

OutputName = Literal["score", "anomalous", "p_value", "anomaly_map"]
OUTPUTS: tuple[OutputName, ...] = ("score", "anomalous", "p_value", "anomaly_map")
Whole = Annotated[int, Field(strict=True, ge=0)]
_Side = Annotated[int, Field(strict=True, ge=1, le=_LONGEST)]
_Flag = Annotated[bool, Field(strict=True)]


class _Parameters(Record):
    """Parameters are how the protocol is extended: those that are not known here are not for us."""

    model_config = ConfigDict(extra="ignore")


class InputParameters(_Parameters):
    """Of an input tensor."""

    binary_data_size: Whole | None = None  # bytes after the JSON


class OutputParameters(_Parameters):
    """Of an output tensor that is asked for."""

    binary_data: _Flag | None = None
    classification: Literal[0] = 0  # Triton's: the highest so many classes; there are none here


class RequestParameters(_Parameters):
    """Of a request."""

    binary_data_output: _Flag = False  # for outputs that do not say


class InputTensor(Record):
    """The one input."""

    name: Literal["image"]
    shape: tuple[_Side, ...] = Field(min_length=1, max_length=4)
    datatype: Literal["UINT8", "BYTES"]
    parameters: InputParameters = InputParameters()
    data: Any = None  # whole numbers 0 to 255, or texts in base64; flat, or nested as its shape


class OutputRequest(Record):
    """An output that is asked for."""

    name: OutputName
    parameters: OutputParameters = OutputParameters()


class InferenceRequest(Record):
    """The body of a request, or its beginning."""

    id: str | None = Field(None, max_length=200)
    parameters: RequestParameters = RequestParameters()
    inputs: tuple[InputTensor] = Field(description="exactly one")
    outputs: tuple[OutputRequest, ...] | None = Field(None, max_length=len(OUTPUTS))  # all of them where it is left out


class BinarySize(Record):
    """Of an output tensor in the response."""

    binary_data_size: int


class OutputTensor(Record):
    """An output, whose data is here or after the JSON."""

    name: OutputName
    datatype: Literal["FP32", "BOOL"]
    shape: tuple[int, ...]
    parameters: BinarySize | None = None
    data: list[float] | list[bool] | None = None


class InferenceResponse(Record):
    """The body of a response, or its beginning."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: tuple[OutputTensor, ...]


class TensorMetadata(Record):
    """What a tensor looks like; -1 is a length that may vary."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class ModelMetadata(Record):
    """What ``GET /v2/models/NAME`` says."""

    name: str
    versions: tuple[str, ...]
    platform: str = "vqi"
    inputs: tuple[TensorMetadata, ...] = (TensorMetadata(name=INPUT, datatype="UINT8", shape=(-1, -1, -1, 3)),)
    outputs: tuple[TensorMetadata, ...] = (
        TensorMetadata(name="score", datatype="FP32", shape=(-1,)),
        TensorMetadata(name="anomalous", datatype="BOOL", shape=(-1,)),
        TensorMetadata(name="p_value", datatype="FP32", shape=(-1,)),
        TensorMetadata(name="anomaly_map", datatype="FP32", shape=(-1, -1, -1)),
    )


class ServerMetadata(Record):
    """What ``GET /v2`` says."""

    name: str = "vqi"
    version: str
    extensions: tuple[str, ...] = ("binary_tensor_data",)
