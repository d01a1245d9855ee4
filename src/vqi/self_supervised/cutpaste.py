"""CutPaste: recognise images into which a piece of themselves was pasted. Imports torch.

Source: Li, Sohn, Yoon, Pfister, "CutPaste: self-supervised learning for anomaly detection and localization",
arXiv 2104.04015, sections 2.2 and 2.3, appendix A.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as change

from vqi.config import CutPaste
from vqi.self_supervised.augment import uniform
from vqi.self_supervised.method import Encode, Method, Step
from vqi.sizes import Size

Paste = Callable[[torch.Tensor, CutPaste, torch.Generator], torch.Tensor]  # of one image (3, H, W)

_TRIES = 100  # to change an image; one that is all of one colour cannot be changed

CLASSES = {
    "normal": ("original", "patch"),
    "scar": ("original", "scar"),
    "union": ("original", "patch or scar"),
    "3way": ("original", "patch", "scar"),
}
# Beyond this many times the loss of guessing among the classes, the weights count as lost. A short training of few
# images may reach 30 times and recover; one whose learning rate is too high reaches thousands.
DIVERGED = 100


class CutPasteMethod(Method):
    """A classifier of original images and of those with a pasted patch or scar."""

    figure, healthy = "accuracy", 1.0

    def __init__(self, width: int, settings: CutPaste) -> None:
        super().__init__()
        self.settings = settings
        self.diverged = DIVERGED * math.log(len(CLASSES[settings.variant]))
        widths = [width, *[settings.head_width] * (settings.head_layers - 1)]
        hidden = [
            layer
            for a, b in itertools.pairwise(widths)
            for layer in (nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU())
        ]
        self.head = nn.Sequential(*hidden, nn.Linear(widths[-1], len(CLASSES[settings.variant])))

    def base_lr(self) -> float:
        """As it is set."""
        return self.settings.lr

    def step(self, encode: Encode, images: torch.Tensor, generator: torch.Generator) -> Step:
        """The cross entropy over the classes, all of the same size; the figure is the accuracy."""
        with torch.autocast("cpu", enabled=False):  # pixels are not rounded to bf16
            batch, labels = examples(images, self.settings, generator)
        logits = self.head(encode(batch)).float()  # k*B x classes
        accuracy = (logits.detach().argmax(dim=1) == labels).float().mean()
        return Step(cross_entropy(logits, labels), float(accuracy))


def examples(images: torch.Tensor, settings: CutPaste, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """The images and what was made of them: (k*B, 3, H, W) with classes (k*B,), 0 for the images themselves."""
    n = len(images)
    if settings.variant == "3way":
        made = [_all(patch_pasted, images, settings, generator), _all(scar_pasted, images, settings, generator)]
    elif settings.variant == "union":
        scars = uniform(generator, n, 0, 1) < 0.5
        paste = [scar_pasted if scar else patch_pasted for scar in scars.tolist()]
        made = [
            torch.stack([_changed(one, image, settings, generator) for one, image in zip(paste, images, strict=True)])
        ]
    else:
        made = [_all(scar_pasted if settings.variant == "scar" else patch_pasted, images, settings, generator)]
    labels = torch.arange(1 + len(made)).repeat_interleave(n)
    return torch.cat([images, *made]), labels


def _all(paste: Paste, images: torch.Tensor, settings: CutPaste, generator: torch.Generator) -> torch.Tensor:
    return torch.stack([_changed(paste, image, settings, generator) for image in images])


def _changed(paste: Paste, image: torch.Tensor, settings: CutPaste, generator: torch.Generator) -> torch.Tensor:
    """An image that differs from its source: a piece that fell on equal pixels, as on black, is pasted again."""
    pasted = paste(image, settings, generator)
    for _ in range(_TRIES - 1):
        if not torch.equal(pasted, image):
            break
        pasted = paste(image, settings, generator)
    return pasted


def patch_size(image: Size, settings: CutPaste, generator: torch.Generator) -> tuple[int, int]:
    """Height and width of a patch of an image, in pixels."""
    area = _one(generator, *settings.patch_area) * image.height * image.width
    aspect = math.exp(_one(generator, *(math.log(limit) for limit in settings.patch_aspect)))
    height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    return min(max(height, 1), image.height), min(max(width, 1), image.width)


def scar_size(image: Size, settings: CutPaste, generator: torch.Generator) -> tuple[int, int]:
    """Height and width of a scar, in pixels."""
    width = round(_one(generator, *settings.scar_width))
    length = round(_one(generator, *settings.scar_length))
    return min(width, image.height), min(length, image.width)


def patch_pasted(image: torch.Tensor, settings: CutPaste, generator: torch.Generator) -> torch.Tensor:
    """An image (3, H, W) with a piece of it at another place."""
    patch = _cut(image, patch_size(Size(*image.shape[1:]), settings, generator), settings, generator)
    return _paste(image, patch, torch.ones_like(patch[:1]), generator)


def scar_pasted(image: torch.Tensor, settings: CutPaste, generator: torch.Generator) -> torch.Tensor:
    """An image (3, H, W) with a thin rotated piece of it at another place."""
    scar = _cut(image, scar_size(Size(*image.shape[1:]), settings, generator), settings, generator)
    angle = _one(generator, -settings.scar_rotation, settings.scar_rotation)
    whole = torch.cat([scar, torch.ones_like(scar[:1])])  # 4 x h x w, the last one is the mask
    turned = change.rotate(whole, angle, interpolation=InterpolationMode.BILINEAR, expand=True)
    return _paste(image, turned[:3] / turned[3:].clamp(min=1e-3), turned[3:], generator)


def _cut(image: torch.Tensor, size: tuple[int, int], settings: CutPaste, generator: torch.Generator) -> torch.Tensor:
    """A piece (3, h, w) of an image from a random place, with other colours."""
    top, left = _place(image, size, generator)
    patch = image[:, top : top + size[0], left : left + size[1]].clone()
    if settings.patch_jitter:
        low, high = 1 - settings.patch_jitter, 1 + settings.patch_jitter
        brightness, contrast, saturation = (_one(generator, low, high) for _ in range(3))
        patch = change.adjust_saturation(change.adjust_contrast(patch * brightness, contrast), saturation)
    return patch.clamp(0, 1)


def _paste(image: torch.Tensor, patch: torch.Tensor, mask: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    height, width = image.shape[1:]
    patch, mask = patch[:, :height, :width], mask[:, :height, :width]
    h, w = patch.shape[1:]
    top, left = _place(image, (h, w), generator)
    pasted = image.clone()
    place = pasted[:, top : top + h, left : left + w]
    pasted[:, top : top + h, left : left + w] = place + (patch - place) * mask
    return pasted.clamp(0, 1)


def _place(image: torch.Tensor, size: tuple[int, int], generator: torch.Generator) -> tuple[int, int]:
    room = [image.shape[1] - size[0], image.shape[2] - size[1]]
    top, left = (int(torch.randint(0, most + 1, (), generator=generator)) for most in room)
    return top, left


def _one(generator: torch.Generator, low: float, high: float) -> float:
    return float(uniform(generator, 1, low, high))


METHOD = CutPasteMethod
