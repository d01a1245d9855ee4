"""Build a backbone by name, with random, pretrained or given weights. Imports torch."""

from __future__ import annotations

from dataclasses import replace

import torch

from vqi.errors import VqiError
from vqi.network.backbones import (
    DEFAULT_SIZE,
    Backbone,
    create_timm,
    create_torchvision,
    load_strictly,
    skeleton,
)
from vqi.network.embedded import EMBEDDED
from vqi.network.weights import load_weights_file
from vqi.sizes import Size


def build(name: str, weights: str, seed: int = 0, size: Size = DEFAULT_SIZE) -> Backbone:
    """Build a backbone by name with its weights.

    Args:
        name: A torchvision or timm model; ``timm/`` or ``torchvision/`` in front decides where both have it.
        weights: ``pretrained``, ``random``, or a path or ``s3://`` uri with ``#sha256=<hex>``.
        seed: Of random weights.
        size: Of the images to come; models with a fixed input size are built for it.

    Raises:
        VqiError: Unknown name, weights that are not available, a sha256 that does not match, keys that do not fit.
    """
    torch.manual_seed(seed)
    backbone = skeleton(name, size)
    if weights == "random":
        return backbone.with_weights(f"random, seed {seed}")
    if weights == "pretrained":
        return _with_pretrained(backbone, size)
    source, sha256 = load_weights_file(backbone.model, weights)
    return backbone.with_weights(source, sha256)


def _with_pretrained(backbone: Backbone, size: Size) -> Backbone:
    library, short = backbone.record.name.split("/")
    embedded = EMBEDDED.get(backbone.record.name)
    if embedded is not None and embedded.installed():
        tensors = {name: torch.tensor(array) for name, array in embedded.read().items()}
        load_strictly(backbone.model, tensors, embedded.package)
        return replace(backbone, record=embedded.record())
    try:
        if library == "torchvision":
            model = create_torchvision(short, size, weights="DEFAULT")
        else:
            model = create_timm(short, size, pretrained=True)
    except (OSError, RuntimeError, ValueError, ImportError) as error:  # each library raises its own without a network
        reason = " ".join(str(error).split())[:200]
        raise VqiError(
            f"the pretrained weights of '{backbone.record.name}' could not be downloaded ({reason}): "
            "set weights to a .safetensors or .pth file with '#sha256=<hex>', or to 'random'"
        ) from error
    return replace(backbone, model=model).with_weights(f"pretrained, downloaded by {library}")
