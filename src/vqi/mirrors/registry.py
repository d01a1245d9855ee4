"""Which mirrors there are. A mirror is a module with ``bring``; see ``vqi.mirrors.mirroring``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Kind(NamedTuple):
    """Another registry that shows models."""

    title: str  # for people
    variable: str  # that names its server; without it nothing is mirrored
    module: str


# By the name of the option of ``vqi models mirror``, with _ for -.
MIRRORS: Mapping[str, Kind] = {
    "mlflow": Kind("MLflow", "VQI_MLFLOW", "vqi.mirrors.mlflow_mirror"),
    "model_registry": Kind("Model Registry", "VQI_MODEL_REGISTRY", "vqi.mirrors.model_registry_mirror"),
}
