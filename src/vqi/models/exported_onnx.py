"""A file that ``vqi export --to onnx`` wrote, as ONNX Runtime computes it."""

from __future__ import annotations

from typing import Any

from vqi.errors import VqiError
from vqi.models.exported_record import AGAIN, INPUT, OUTPUTS, SECTION, ExportedRecord, record_of
from vqi.records import cut
from vqi.store.opening import read_uri
from vqi.system.processor import threads


class OnnxFile:
    """The file, loaded.

    Args:
        uri: Of the ``.onnx``.

    Raises:
        VqiError: There is no such file, it is damaged, another one or of another version of the format.
    """

    engine = "onnxruntime"

    def __init__(self, uri: str) -> None:
        self._session = _loaded(uri)
        self.record = _record(self._session, uri)

    def infer(self, pixels: Any) -> dict[str, Any]:
        """(1, H, W, 3) uint8 -> the outputs by name; what has the size that the network sees is not resized again."""
        return dict(zip(OUTPUTS, self._session.run(list(OUTPUTS), {INPUT: pixels}), strict=True))


def record_at(uri: str) -> ExportedRecord:
    """What the file at a uri says of itself. Raises as ``OnnxFile``."""
    return _record(_loaded(uri), uri)


def _loaded(uri: str) -> Any:
    import onnxruntime

    content = read_uri(uri)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads()
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others compute, too
    settings.log_severity_level = 4  # what it says, it raises
    try:
        return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # it raises what it likes, and it is the file's doing
        reason = cut(" ".join(str(error).split()))
        raise VqiError(f"{uri}: ONNX Runtime cannot read it ({reason}): {AGAIN}") from error


def _record(session: Any, uri: str) -> ExportedRecord:
    begins = f"{SECTION} "
    said = session.get_modelmeta().custom_metadata_map
    texts = {name.removeprefix(begins): text for name, text in said.items() if name.startswith(begins)}
    return record_of(texts, "onnx", uri)
