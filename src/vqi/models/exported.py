"""A file that ``vqi export`` wrote -> scores, verdicts, maps and places for new photographs. A run time computes it."""

from __future__ import annotations

import threading
import time

from vqi.errors import VqiError
from vqi.models.exported_record import ENDINGS, ExportedRecord
from vqi.models.reading import Reader
from vqi.models.result import Result
from vqi.models.scorer import Read, Scorer


class ExportedModel(Scorer):
    """An exported file, loaded and compiled. It may be used by several threads.

    Photographs are read and resized as they are for the model itself; what comes after that, the file computes.

    Args:
        uri: Of the ``.xml``, with the ``.bin`` next to it, or of the ``.onnx``.
        engine: That of the file: ``openvino`` or ``onnxruntime``; ``auto`` is the same.
        precision: That of the file; ``auto`` is the same.

    Raises:
        VqiError: There is no such file, it is damaged, another one or of another version of the format, or the engine
            or the precision is another.
    """

    def __init__(self, uri: str, engine: str = "auto", precision: str = "auto") -> None:
        self.uri = uri
        if _is_onnx(uri):
            from vqi.models.exported_onnx import OnnxFile as File
        else:
            from vqi.models.exported_openvino import OpenvinoFile as File  # type: ignore[assignment]
        self._file = File(uri)
        self.record = self._file.record
        _require("engine", engine, self._file.engine, uri)
        _require("precision", precision, self.record.precision, uri)
        super().__init__(Reader(self.record.image_size, self.record.max_pixels, self.record.white))
        self.threshold, self.map_limit = self.record.threshold, self.record.map_limit
        self.version = self.record.model_version
        self._lock = threading.Lock()

    def _scored(self, read: Read) -> Result:
        began = time.perf_counter()
        with self._lock:
            found = self._file.infer(read.decoded.pixels[None])
        score, flagged, p_value = (found[name].item() for name in ("score", "anomalous", "p_value"))
        return self._result(
            read, began, score=score, flagged=flagged, p_value=p_value, anomaly_map=found["anomaly_map"][0]
        )


def record_at(uri: str) -> ExportedRecord:
    """What the exported file at a uri says of itself. Raises as ``ExportedModel``."""
    if _is_onnx(uri):
        from vqi.models.exported_onnx import record_at as of
    else:
        from vqi.models.exported_openvino import record_at as of
    return of(uri)


def _is_onnx(uri: str) -> bool:
    return uri.endswith(ENDINGS["onnx"])


def _require(what: str, asked: str, has: str, uri: str) -> None:
    if asked not in ("auto", has):
        raise VqiError(
            f"{uri}: an exported file has its {what} in it, {has}, got {what} '{asked}': leave it out, or export the "
            "model otherwise"
        )
