"""Weights of a network: files with their sha256. Imports torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from vqi.digests import sha256_file
from vqi.errors import VqiError
from vqi.network.backbones import load_strictly
from vqi.store.opening import fetch_uri
from vqi.system.scratch import scratch_folder


def load_weights_file(model: nn.Module, weights: str) -> tuple[str, str]:
    """Load a file named as ``<path or uri>#sha256=<hex>`` into a network.

    Returns:
        Where the weights come from, and the sha256 of the file.

    Raises:
        VqiError: As ``read_weights_file``, or keys that do not fit.
    """
    tensors = read_weights_file(weights)
    location, _, sha256 = weights.partition("#sha256=")
    load_strictly(model, tensors, location)
    return f"file {Path(location).name}", sha256


def read_weights_file(weights: str) -> dict[str, torch.Tensor]:
    """The tensors of a file named as ``<path or uri>#sha256=<hex>``, without the prefix ``module.`` of their names.

    Raises:
        VqiError: Another form, no such file, a sha256 that does not match.
    """
    location, _, expected = weights.partition("#sha256=")
    if not re.fullmatch(r"[0-9a-f]{64}", expected):
        raise VqiError(
            f"weights '{weights}': expected 'pretrained', 'random', or '<path or uri>#sha256=<64 hex digits>'"
        )
    if not location.endswith((".safetensors", ".pth", ".pt", ".pth.tar")):
        raise VqiError(f"weights '{location}': expected a .safetensors or .pth file")
    with scratch_folder() as folder:
        path = Path(location)
        if "://" in location:
            path = folder / Path(location).name
            fetch_uri(location, path)
        elif not path.is_file():
            raise VqiError(f"weights '{location}': no such file")
        return _read_state(path, expected, location)


def _read_state(path: Path, expected: str, source: str) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint, opened only after its sha256 matched; ``source`` is its name in errors."""
    got = sha256_file(path)
    if got != expected:
        raise VqiError(f"{source}: expected sha256 {expected}, got {got}: not the file you meant; fetch it again")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _read_checkpoint(path)
    except Exception as error:  # the readers raise many kinds of errors for a damaged or foreign file
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise VqiError(
            f"weights '{source}': expected a file of tensors alone, got one that cannot be read as such "
            f"({reason}): save the model's state_dict()"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in content.values()):
        raise VqiError(f"weights '{source}': expected a state_dict, got something else: save the model's state_dict()")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def _read_checkpoint(path: Path) -> Any:
    """The content of a .pth file, without running anything in it; the model's state where it holds more than that."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    return content
