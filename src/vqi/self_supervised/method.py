"""What a method of fine-tuning gives to the training loop. Imports torch."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from vqi.config import Finetune

# Images (B, 3, H, W) in [0, 1] -> pooled features of the layer that trains, (B, C).
Encode = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Step:
    """What one batch gave: the loss, and the value of the figure that the method watches."""

    loss: torch.Tensor
    value: float


class Method(nn.Module):
    """The loss of a method, with the layers of its own that train and are then thrown away."""

    figure: str  # what says whether training is healthy
    healthy: float  # its value when it is
    diverged: float = math.inf  # a validation loss above this is that of weights that are lost

    @classmethod
    def prepare(cls, model: nn.Module, settings: Finetune) -> str:
        """Give the backbone other weights to start from; returns where they come from, '' where it kept its own."""
        return ""

    @abstractmethod
    def base_lr(self) -> float:
        """The learning rate at the start."""

    @abstractmethod
    def step(self, encode: Encode, images: torch.Tensor, generator: torch.Generator) -> Step:
        """The loss of images (B, 3, H, W) in [0, 1]."""

    def fixed_lr_parameters(self) -> list[nn.Parameter]:
        """Those of its parameters whose learning rate does not fall."""
        return []

    def check(self, value: float) -> None:
        """Fail when training has gone wrong; ``value`` is the figure's mean over an epoch."""
