"""SimSiam: two views of an image predict each other. Imports torch.

Source: Chen, He, "Exploring simple siamese representation learning", arXiv 2011.10566; the names are the paper's.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cosine_similarity, normalize

from vqi.config import Finetune, SimSiam
from vqi.errors import VqiError
from vqi.network.backbones import load_strictly
from vqi.network.weights import read_weights_file
from vqi.progress import message
from vqi.self_supervised.augment import view
from vqi.self_supervised.method import Encode, Method, Step

COLLAPSED = 0.5  # of 1 / sqrt(d), the standard deviation of healthy outputs; BN turns mere rounding into 0.2


class SimSiamMethod(Method):
    """Encoder f and projection -> z, prediction h -> p; D(p1, stopgrad(z2)) / 2 + D(p2, stopgrad(z1)) / 2."""

    figure = "feature_std"

    def __init__(self, width: int, settings: SimSiam) -> None:
        super().__init__()
        self.settings = settings
        self.healthy = 1 / math.sqrt(settings.projection_width)
        d, hidden = settings.projection_width, settings.prediction_width
        self.projection = nn.Sequential(
            nn.Linear(width, d, bias=False), nn.BatchNorm1d(d), nn.ReLU(),
            nn.Linear(d, d, bias=False), nn.BatchNorm1d(d), nn.ReLU(),
            nn.Linear(d, d, bias=False), nn.BatchNorm1d(d, affine=False),
        )  # fmt: skip
        self.prediction = nn.Sequential(
            nn.Linear(d, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, d)
        )

    @classmethod
    def prepare(cls, model: nn.Module, settings: Finetune) -> str:
        """Load the encoder of ``initial_checkpoint``, where there is one."""
        if not isinstance(settings, SimSiam) or not settings.initial_checkpoint:
            return ""
        load_encoder(model, settings.initial_checkpoint)
        return f"SimSiam checkpoint {Path(settings.initial_checkpoint.partition('#sha256=')[0]).name}"

    def base_lr(self) -> float:
        """The learning rate of the batch: lr x batch / 256 (section 4)."""
        return self.settings.lr * self.settings.batch_size / 256

    def fixed_lr_parameters(self) -> list[nn.Parameter]:
        """Those of the prediction: their learning rate does not fall (section 4.3)."""
        return list(self.prediction.parameters())

    def step(self, encode: Encode, images: torch.Tensor, generator: torch.Generator) -> Step:
        """The symmetric loss of two views, in [-1, 1]; the value is the standard deviation of z / |z|."""
        with torch.autocast("cpu", enabled=False):  # pixels are not rounded to bf16
            views = [view(images, self.settings, generator) for _ in range(2)]
        z1, z2 = (self.projection(encode(one)) for one in views)  # B x d
        p1, p2 = self.prediction(z1), self.prediction(z2)
        loss = negative_cosine(p1, z2) / 2 + negative_cosine(p2, z1) / 2
        spread = normalize(z1.detach().float(), dim=1).std(dim=0).mean()
        return Step(loss, float(spread))

    def check(self, value: float) -> None:
        """Fail when the outputs have collapsed to one vector.

        Raises:
            VqiError: They have.
        """
        if value < COLLAPSED * self.healthy:
            raise VqiError(
                f"SimSiam collapsed: the outputs of different images are nearly the same (standard deviation "
                f"{value:.4f}, healthy is 1 / sqrt(d) = {self.healthy:.4f}): use a smaller lr, a larger batch_size, or "
                "method 'cutpaste'"
            )


def load_encoder(model: nn.Module, checkpoint: str) -> None:
    """Load the encoder of a SimSiam checkpoint in the layout of the authors' code into a backbone.

    Its names are ``module.encoder.<name>``; ``encoder.fc`` holds the projection, which belongs to the last layer
    and is in the place of the backbone's classifier. That and the prediction are not loaded.

    Args:
        model: A network whose classifier is ``fc``, such as a ResNet.
        checkpoint: ``<path or uri>#sha256=<hex>``.

    Raises:
        VqiError: No such file, no tensor of an encoder in it, or others than those of the backbone.
    """
    tensors, location = read_weights_file(checkpoint), checkpoint.partition("#sha256=")[0]
    encoder = {
        name.removeprefix("encoder."): tensor
        for name, tensor in tensors.items()
        if name.startswith("encoder.") and not name.startswith("encoder.fc.")
    }
    if not encoder:
        raise VqiError(
            f"initial_checkpoint '{location}': expected names like 'module.encoder.conv1.weight', got "
            f"{sorted(tensors)[:3]}: nothing could be loaded; plain weights go into the parameter 'weights'"
        )
    own = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("fc.")}
    load_strictly(model, encoder | own, location)
    message(
        f"initial_checkpoint: the {len(encoder)} tensors of the encoder are loaded; "
        f"{len(tensors) - len(encoder)} of the projection and the prediction are left out"
    )


def negative_cosine(p: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """D(p, stopgrad(z)), the mean over the batch; both (B, d)."""
    return -cosine_similarity(p.float(), z.detach().float(), dim=1).mean()


METHOD = SimSiamMethod
