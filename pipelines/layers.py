"""Whether a run's layers are in its backbone, asked before its first step."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from vqi.config import FeatureExtract, SslFinetune, defaults
from vqi.errors import VqiError

_DEFAULTS = {"backbone": defaults(SslFinetune).backbone_name, "layer": defaults(FeatureExtract).layer}


def check_layers(parameters: Mapping[str, Any]) -> None:
    """Ask a process of its own, because the network has to be built for that: seconds, where it is not the default one.

    Without torch here, as where the steps are containers, the step says it.

    Raises:
        VqiError: A layer is not there.
    """
    asked = [str(parameters.get(name, default)) for name, default in _DEFAULTS.items()]
    if asked == [*_DEFAULTS.values()] or importlib.util.find_spec("torch") is None:
        return
    done = subprocess.run(
        [sys.executable, "-m", "vqi.network.layer_check", *asked], capture_output=True, text=True, check=False
    )
    if done.returncode and done.stdout:  # if it ended otherwise, the step will, too, and has a log
        raise VqiError(done.stdout.strip())
