"""EfficientNet-Lite0 with the weights that vqi has, for peers: the bench wrote them under timm's names."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

NAME = "tf_efficientnet_lite0"
MEAN = STD = (0.5, 0.5, 0.5)  # of the pixels in [0, 1], as it was trained
UNUSED = ("conv_head.", "bn2.", "classifier.")  # behind the layers that a network for features has


def load(model: torch.nn.Module, weights: Path) -> None:
    """Put the weights into a network of timm's; all of its own have to be there."""
    missing, left = model.load_state_dict(load_file(weights), strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    left = [name for name in left if not name.startswith(UNUSED)]
    if missing or left:
        raise ValueError(f"the weights are those of another network: without {missing}, too many {left}")
