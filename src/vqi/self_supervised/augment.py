"""Random changes of image batches (B, 3, H, W) in [0, 1], each image by itself. Imports torch.

All randomness comes from the generator that is passed in, so that the same seed gives the same views.
"""

from __future__ import annotations

import math

import torch
from torch.nn.functional import affine_grid, conv2d, grid_sample, pad
from torchvision.transforms.v2 import functional as change

from vqi.config import SimSiam

_BLUR_SIGMAS = (0.1, 2.0)  # pixels
_CROP_ASPECTS = (3 / 4, 4 / 3)


def uniform(generator: torch.Generator, count: int, low: float, high: float) -> torch.Tensor:
    """``count`` random numbers from ``low`` to ``high``."""
    return torch.empty(count).uniform_(low, high, generator=generator)


def view(images: torch.Tensor, settings: SimSiam, generator: torch.Generator) -> torch.Tensor:
    """One random view of each image: crop, flip, colours, greys, blur.

    Source: Chen, He, "Exploring simple siamese representation learning", arXiv 2011.10566, appendix A.
    """
    images = cropped(images, settings.crop_min_scale, settings.flip, generator)
    images = recoloured(images, settings, generator)
    grey = uniform(generator, len(images), 0, 1) < settings.greyscale
    images[grey] = change.rgb_to_grayscale(images[grey], num_output_channels=3)
    return blurred(images, settings.blur, generator).clamp(0, 1)


def cropped(images: torch.Tensor, min_scale: float, flip: float, generator: torch.Generator) -> torch.Tensor:
    """Random resized crops (none for a scale of 1), some mirrored: one bilinear lookup for the whole batch."""
    n = len(images)
    area = uniform(generator, n, min_scale, 1)
    low, high = _CROP_ASPECTS if min_scale < 1 else (1, 1)
    aspect = torch.exp(uniform(generator, n, math.log(low), math.log(high)))
    width = (area * aspect).sqrt().clamp(max=1)
    height = (area / aspect).sqrt().clamp(max=1)
    mirrored = torch.where(uniform(generator, n, 0, 1) < flip, -1.0, 1.0)
    x = (1 - width) * uniform(generator, n, -1, 1)  # of the centre, where -1 and 1 are the edges
    y = (1 - height) * uniform(generator, n, -1, 1)
    zero = torch.zeros(n)
    rows = [torch.stack([width * mirrored, zero, x], 1), torch.stack([zero, height, y], 1)]
    grid = affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)  # B x H x W x 2
    return grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def recoloured(images: torch.Tensor, settings: SimSiam, generator: torch.Generator) -> torch.Tensor:
    """Brightness, contrast, saturation and hue, for a share of the images."""
    n = len(images)
    chosen = uniform(generator, n, 0, 1) < settings.jitter
    limits = [settings.brightness, settings.contrast, settings.saturation]
    factors = [uniform(generator, n, max(0, 1 - limit), 1 + limit).view(-1, 1, 1, 1)[chosen] for limit in limits]
    hues = uniform(generator, n, -settings.hue, settings.hue)[chosen]
    picked = images[chosen] * factors[0]  # b x 3 x H x W
    middle = change.rgb_to_grayscale(picked).mean(dim=(1, 2, 3), keepdim=True)
    picked = middle + (picked - middle) * factors[1]
    grey = change.rgb_to_grayscale(picked)
    picked = (grey + (picked - grey) * factors[2]).clamp(0, 1)
    for row, hue in enumerate(hues.tolist() if settings.hue else ()):
        picked[row] = change.adjust_hue(picked[row], hue)
    images = images.clone()
    images[chosen] = picked
    return images


def blurred(images: torch.Tensor, probability: float, generator: torch.Generator) -> torch.Tensor:
    """A Gaussian blur for a share of the images: along the columns, then along the rows, all images together."""
    chosen = uniform(generator, len(images), 0, 1) < probability
    sigmas = uniform(generator, len(images), *_BLUR_SIGMAS)[chosen]
    n, (height, width) = len(sigmas), images.shape[-2:]
    if n == 0:
        return images
    radius = max(1, min(height, width) // 20)  # of a kernel as wide as a tenth of the image
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernels = torch.exp(-(offsets**2) / (2 * sigmas[:, None] ** 2))  # n x k
    kernels = (kernels / kernels.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)  # 3n x k
    planes = images[chosen].reshape(1, 3 * n, height, width)
    planes = conv2d(pad(planes, [0, 0, radius, radius], "reflect"), kernels[:, None, :, None], groups=3 * n)
    planes = conv2d(pad(planes, [radius, radius, 0, 0], "reflect"), kernels[:, None, None, :], groups=3 * n)
    images = images.clone()
    images[chosen] = planes.reshape(n, 3, height, width)
    return images
