"""SimSiam: two views of an image predict each other. Imports torch.

Source: Chen, He, "Exploring simple siamese representation learning", arXiv 2011.10566; the names are the paper's.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import cosine_similarity, normalize

from vqi.config import SimSiam
from vqi.errors import VqiError
from vqi.self_supervised.augment import view
from vqi.self_supervised.method import Encode, Method, Step

COLLAPSED = 0.1  # of 1 / sqrt(d), the standard deviation of healthy outputs


class SimSiamMethod(Method):
    """Encoder f and projection -> z, prediction h -> p; D(p1, stopgrad(z2)) / 2 + D(p2, stopgrad(z1)) / 2."""

    def __init__(self, width: int, settings: SimSiam) -> None:
        super().__init__()
        self.settings = settings
        d, hidden = settings.projection_width, settings.prediction_width
        self.projection = nn.Sequential(
            nn.Linear(width, d, bias=False), nn.BatchNorm1d(d), nn.ReLU(),
            nn.Linear(d, d, bias=False), nn.BatchNorm1d(d), nn.ReLU(),
            nn.Linear(d, d, bias=False), nn.BatchNorm1d(d, affine=False),
        )  # fmt: skip
        self.prediction = nn.Sequential(
            nn.Linear(d, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, d)
        )

    def base_lr(self) -> float:
        """The learning rate of the batch: lr x batch / 256 (section 4)."""
        return self.settings.lr * self.settings.batch_size / 256

    def fixed_lr_parameters(self) -> list[nn.Parameter]:
        """Those of the prediction: their learning rate does not fall (section 4.3)."""
        return list(self.prediction.parameters())

    def step(self, encode: Encode, images: torch.Tensor, generator: torch.Generator) -> Step:
        """The symmetric loss of two views of each image, in [-1, 1], and the standard deviation of z / |z|."""
        z1, z2 = (self.projection(encode(view(images, self.settings, generator))) for _ in range(2))  # B x d
        p1, p2 = self.prediction(z1), self.prediction(z2)
        loss = negative_cosine(p1, z2) / 2 + negative_cosine(p2, z1) / 2
        spread = normalize(z1.detach().float(), dim=1).std(dim=0).mean()
        return Step(loss, float(spread) * math.sqrt(z1.shape[1]))

    def check_health(self, health: float) -> None:
        """Fail when the outputs have collapsed to one vector.

        Raises:
            VqiError: They have.
        """
        if health < COLLAPSED:
            raise VqiError(
                f"SimSiam collapsed: the outputs of different images are nearly the same (standard deviation "
                f"{health:.3f} of the healthy 1 / sqrt(d)): use a smaller lr, a larger batch_size, or method 'cutpaste'"
            )


def negative_cosine(p: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """D(p, stopgrad(z)), the mean over the batch; both (B, d)."""
    return -cosine_similarity(p.float(), z.detach().float(), dim=1).mean()
