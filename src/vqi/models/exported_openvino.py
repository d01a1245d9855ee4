"""A file that ``vqi export --to openvino`` wrote, as OpenVINO computes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vqi.digests import sha256_bytes
from vqi.errors import VqiError
from vqi.models.exported_record import AGAIN, ENDINGS, RESIZED, SECTION, WEIGHTS, ExportedRecord, record_of
from vqi.records import cut
from vqi.sizes import Size
from vqi.store.opening import read_uri
from vqi.system.openvino import imported
from vqi.system.processor import threads


class OpenvinoFile:
    """The file, compiled: from a photograph of the size that the network sees on.

    Args:
        uri: Of the ``.xml``; the ``.bin`` is next to it.

    Raises:
        VqiError: There is no such file, it is damaged, another one or of another version of the format.
    """

    engine = "openvino"

    def __init__(self, uri: str) -> None:
        core = imported().Core()
        model, self.record = _loaded(core, uri)
        settings = {"INFERENCE_NUM_THREADS": threads(), "PERFORMANCE_HINT": "LATENCY"}  # none that changes a score
        with _refusing(uri):
            compiled = core.compile_model(_of_resized(model, self.record.image_size, uri), "CPU", settings)
        self._request = compiled.create_infer_request()

    def infer(self, pixels: Any) -> Any:
        """(1, *size, 3) uint8 -> the outputs by name."""
        return self._request.infer([pixels], share_inputs=True, share_outputs=False)


def record_at(uri: str) -> ExportedRecord:
    """What the file at a uri says of itself. Raises as ``OpenvinoFile``."""
    return _loaded(imported().Core(), uri)[1]


def _loaded(core: Any, uri: str) -> tuple[Any, ExportedRecord]:
    """The ``openvino.Model`` in a file, and what the file says of itself."""
    weights_uri = f"{uri.removesuffix(ENDINGS['openvino'])}{WEIGHTS}"
    network, weights = read_uri(uri), read_uri(weights_uri)
    with _refusing(uri):
        model = core.read_model(network, weights)
    known = [name for name in ExportedRecord.model_fields if model.has_rt_info([SECTION, name])]
    texts = {name: model.get_rt_info([SECTION, name]).astype(str) for name in known}
    record = record_of(texts, "openvino", uri)
    if sha256_bytes(weights) != record.weights:
        raise VqiError(f"{weights_uri}: not the file that was written with {uri}: {AGAIN}")
    return model, record


@contextmanager
def _refusing(uri: str) -> Iterator[None]:
    """Say of a file what OpenVINO says of it."""
    try:
        yield
    except VqiError:
        raise
    except Exception as error:  # it raises what it likes, and it is the file's doing
        reason = cut(" ".join(str(error).split()))
        raise VqiError(f"{uri}: OpenVINO cannot read it ({reason}): {AGAIN}") from error


def _of_resized(model: Any, size: Size, uri: str) -> Any:
    """The model from the resized photograph on, (1, *size, 3) uint8: vqi reads and resizes it as for training."""
    openvino = imported()
    from openvino import op

    found = [one for one in model.get_ops() if one.get_friendly_name() == RESIZED]
    if len(found) != 1:
        raise VqiError(f"{uri}: expected one operation '{RESIZED}', got {len(found)}: {AGAIN}")
    photograph = op.Parameter(openvino.Type.u8, openvino.Shape([1, *size, 3]))
    found[0].output(0).replace(photograph.output(0))
    return openvino.Model(model.get_results(), [photograph], "vqi")
