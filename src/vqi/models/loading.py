"""What is at a place, a model or an exported file -> what scores photographs with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vqi.models.exported_record import ENDINGS, FILES
from vqi.store.opening import open_store, split_uri

if TYPE_CHECKING:
    from vqi.models.exported import ExportedModel
    from vqi.models.model import Model


def load(model: str | os.PathLike[str], engine: str = "auto", precision: str = "auto") -> Model | ExportedModel:
    """A published, saved or exported model.

    Args:
        model: Path or uri (``file://``, ``s3://``) of a version (``store/models/parts/bracket/v3``), of a category,
            which means its champion, of a folder that ``Model.save`` wrote, or of a file that ``vqi export``
            wrote (``bracket.xml``, with ``bracket.bin`` next to it, or ``bracket.onnx``; or the folder). Of the latter
            OpenVINO, or ONNX Runtime, is all that is needed, and imported.
        engine: What runs the network: ``openvino``, ``ipex`` or ``eager``; ``auto`` = what the model was made with,
            where this machine has it. An exported file has its engine and precision in it.
        precision: ``fp32`` or ``bf16``; ``auto`` as for ``engine``.

    Raises:
        VqiError: There is no model at that place, a file of it is damaged, or the engine is not available.
    """
    uri = os.fspath(model)
    file = exported_at(uri)
    if file is not None:
        from vqi.models.exported import ExportedModel

        return ExportedModel(file, engine, precision)
    from vqi.models.model import Model  # torch takes seconds to import

    return Model(uri, engine, precision)


def exported_at(uri: str) -> str | None:
    """The uri of the exported file that is at a place, or in the folder there; None where neither is.

    The name does not decide: a category may be called ``bracket.xml``.
    """
    uri = uri.rstrip("/")
    if uri.endswith(tuple(ENDINGS.values())):
        folder, name = split_uri(uri)
        if open_store(folder).exists(name):
            return uri
    if not uri:
        return None
    store = open_store(uri)
    return next((f"{uri}/{name}" for name in FILES.values() if store.exists(name)), None)
