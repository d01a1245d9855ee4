"""Whether a run's layers are in its backbone, asked before its first step."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from vqi.config import FeatureExtract, SslFinetune, defaults
from vqi.errors import VqiError
from vqi.layers import Layers, layer_problem, listed_layers


class _Asked(NamedTuple):
    backbone: str
    layer: str


_DEFAULT = _Asked(defaults(SslFinetune).backbone_name, defaults(FeatureExtract).layer)


def _asked(parameters: Mapping[str, Any]) -> _Asked:
    return _Asked(parameters.get("backbone", _DEFAULT.backbone), parameters.get("layer", _DEFAULT.layer))


def listed_layer_problem(parameters: Mapping[str, Any]) -> VqiError | None:
    """What is wrong with the layers, as far as the table of known backbones tells."""
    asked = _asked(parameters)
    layers = listed_layers(asked.backbone) if asked != _DEFAULT else None
    try:
        return layer_problem(*asked, layers) if layers is not None else None
    except ValueError:  # a list that is none, which the model of the parameters refuses
        return None


def check_built_layers(parameters: Mapping[str, Any]) -> None:
    """Check the layers of a backbone that the table does not list: it is built for that, which takes seconds.

    Without torch here, as where the steps are containers, the step says it.

    Raises:
        VqiError: A layer is not there.
    """
    asked = _asked(parameters)
    if asked == _DEFAULT or listed_layers(asked.backbone) is not None or importlib.util.find_spec("torch") is None:
        return
    done = subprocess.run(
        [sys.executable, "-m", "vqi.network.layer_table", asked.backbone], capture_output=True, text=True, check=False
    )
    if done.returncode and done.stdout:
        raise VqiError(done.stdout.strip())
    if done.returncode:  # the step will end so, too, and has a log
        return
    names, suggested = json.loads(done.stdout)
    problem = layer_problem(*asked, Layers(tuple(names), suggested))
    if problem is not None:
        raise problem
