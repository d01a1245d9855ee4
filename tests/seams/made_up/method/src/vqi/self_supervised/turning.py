"""Turning: predict by how many quarter turns an image is rotated. Imports torch.

Source: Gidaris, Singh, Komodakis, "Unsupervised representation learning by predicting image rotations", ICLR 2018.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from vqi.config import Turning
from vqi.self_supervised.method import Encode, Method, Step


class TurningMethod(Method):
    """Cross entropy over the four turns; the figure is the share of correct answers."""

    figure = "accuracy"
    healthy = 1.0

    def __init__(self, width: int, settings: Turning) -> None:
        super().__init__()
        self.settings = settings
        self.head = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(width, 4))

    def base_lr(self) -> float:
        """As it is given."""
        return self.settings.lr

    def step(self, encode: Encode, images: torch.Tensor, generator: torch.Generator) -> Step:
        """The loss of images (B, 3, H, W), each rotated by a random number of quarter turns."""
        turns = torch.randint(4, (len(images),), generator=generator)
        turned = torch.stack([image.rot90(int(turn), (1, 2)) for image, turn in zip(images, turns, strict=True)])
        answers = self.head(encode(turned)).float()  # B x 4
        right = (answers.argmax(dim=1) == turns).float().mean()
        return Step(cross_entropy(answers, turns), float(right))


METHOD = TurningMethod
