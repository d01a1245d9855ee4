"""Made-up exported files, of a few operations: the score is the mean of the pixels, the map that of the colours."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from vqi.export.resizing import resizing
from vqi.export.saving import save
from vqi.models.exported_record import OUTPUTS, SECTION, ExportedRecord
from vqi.sizes import Size

SIZE = 8
RECORD = ExportedRecord(
    version="0", model="file:///made", digest="0" * 64, dataset="parts", category="bracket", model_version=3,
    detector="pca", precision="fp32", threshold=100.0, target_fpr=0.05, map_limit=150.0, image_size=Size(SIZE, SIZE),
    max_pixels=10_000,
)  # fmt: skip


def network() -> Any:
    """From the photograph to the mean of its pixels, whether that is above 100, a quarter, and the means per pixel."""
    model = resizing(Size(SIZE, SIZE))
    pixels = ops.convert(model.get_results()[0].input_value(0), "f32")
    score = ops.reshape(ops.reduce_mean(pixels, np.array([0, 1, 2, 3])), np.array([1]), special_zero=False)
    flagged = ops.greater(score, np.float32(100))
    quarter = ops.add(ops.multiply(score, np.float32(0)), np.float32(0.25))
    made = openvino.Model(
        [score, flagged, quarter, ops.reduce_mean(pixels, np.array([3]))], model.get_parameters(), "made"
    )
    for output, name in zip(made.outputs, OUTPUTS, strict=True):
        output.get_tensor().set_names({name})
    return made


def write(folder: Path, **changes: Any) -> Path:
    """The file, with other things said of it."""
    folder.mkdir(exist_ok=True)
    texts = RECORD.model_copy(update=changes).texts()
    save(network(), folder / "model.xml", "fp32", {SECTION: texts})
    return folder / "model.xml"


def write_onnx(folder: Path, **changes: Any) -> Path:
    """The same as a file of ONNX, which resizes nothing."""
    import onnx.parser

    folder.mkdir(exist_ok=True)
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 18]>
        made (uint8[1, H, W, 3] image)
        => (float[1] score, bool[1] anomalous, float[1] p_value, float[1, H, W] anomaly_map)
        <float limit = {100.0}, float quarter = {0.25}, float nought = {0.0}, int64[1] one = {1}, int64[1] last = {3}>
        {
            pixels = Cast <to = 1> (image)
            mean = ReduceMean <keepdims = 0> (pixels)
            score = Reshape (mean, one)
            anomalous = Greater (score, limit)
            nothing = Mul (score, nought)
            p_value = Add (nothing, quarter)
            anomaly_map = ReduceMean <keepdims = 0> (pixels, last)
        }"""
    )
    texts = RECORD.model_copy(update={"format": "vqi.onnx/1", **changes}).texts()
    onnx.helper.set_model_props(model, {f"{SECTION} {name}": text for name, text in texts.items()})
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"
