"""OpenVINO, imported in a way that it tells nobody of."""

from __future__ import annotations

import sys
from typing import Any


def imported() -> Any:
    """The module ``openvino``. Its converter reports usage over the network unless one module is missing: it is made
    to miss it.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
