"""What an exported file says of itself: texts by name, in the part ``vqi`` of what each kind of file has for that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from vqi.errors import VqiError
from vqi.records import Record, parse
from vqi.sizes import AnySize, Size

WEIGHTS = ".bin"  # ends the name of the file next to one of OpenVINO
ENDINGS = {"openvino": ".xml", "onnx": ".onnx"}  # of the file, by its format
FILES = {of: f"model{ending}" for of, ending in ENDINGS.items()}  # in the folder that `vqi export` writes
FORMATS = {"openvino": "vqi.openvino/2", "onnx": "vqi.onnx/1"}  # with their versions, as the files say it
SECTION = "vqi"  # of rt_info, or the first word of a name in ONNX's metadata
INPUT, OUTPUTS = "image", ("score", "anomalous", "p_value", "anomaly_map")
RESIZED = "resized"  # the operation that gives the photograph in the size that the network sees
AGAIN = "export the model again with this version of vqi"


def _of_text(value: Any) -> Any:
    """``320`` or ``208x512`` (width, height), as ``texts`` writes a size, in a form that ``AnySize`` takes."""
    if isinstance(value, str) and (found := re.fullmatch("([0-9]{1,4})(?:x([0-9]{1,4}))?", value)):
        width, height = int(found[1]), int(found[2] or found[1])
        return Size(height, width)
    return value


class ExportedRecord(Record):
    """Enough to score a photograph with the file, and where the model comes from."""

    format: str = FORMATS["openvino"]
    version: str  # of vqi
    model: str  # uri
    digest: str  # of the model package
    dataset: str
    category: str
    model_version: int = Field(ge=0)
    detector: str
    precision: str  # of the network
    threshold: float
    target_fpr: float
    map_limit: float
    image_size: Annotated[AnySize, BeforeValidator(_of_text)]  # of the images that the network sees
    max_pixels: int = Field(ge=1)
    white: float | None = Field(default=None, gt=0)  # of photographs deeper than 8 bits; None where it is not known
    weights: str = ""  # sha256 of the .bin; '' before it is written

    def texts(self) -> dict[str, str]:
        """All that is known, by name."""
        return {name: str(value) for name, value in self if value not in (None, "")}


def record_of(texts: Mapping[str, str], of: str, place: str) -> ExportedRecord:
    """What a file says of itself.

    Args:
        texts: That are in it, by name; others than those of the record are left alone.
        of: Its format: a key of ``ENDINGS``.
        place: Where it is, for errors.

    Raises:
        VqiError: It is another file, or one of another version of the format.
    """
    if not texts:
        raise VqiError(f"{place}: not a file that `vqi export` wrote: expected '{SECTION}' in what it says of itself")
    if (said := texts.get("format", "")) != FORMATS[of]:
        raise VqiError(f"{place}: format: expected '{FORMATS[of]}', got '{said}': {AGAIN}")
    known = {name: text for name, text in texts.items() if name in ExportedRecord.model_fields}
    return parse(ExportedRecord, known, place, AGAIN)
