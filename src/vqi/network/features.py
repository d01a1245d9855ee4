"""Images -> features of one layer of a backbone, in one forward pass. Imports torch."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vqi.artifacts.files import provenance
from vqi.artifacts.images import Images
from vqi.artifacts.model import Features
from vqi.artifacts.tensors import FloatArray
from vqi.config import FeatureExtract
from vqi.errors import VqiError
from vqi.network.backbones import Backbone
from vqi.network.runtime import Runtime, choose, compile_network
from vqi.network.truncation import truncate
from vqi.progress import track


class TruncatedNetwork(nn.Module):
    """uint8 images (B, H, W, 3) -> the output of a layer, in the form that the backbone gives it."""

    def __init__(self, backbone: Backbone, layer: str) -> None:
        super().__init__()
        self.truncated = truncate(backbone.model, layer)
        # x / 255 normalised by mean and std, as one multiplication and one addition
        scale = 1 / (255 * torch.tensor(backbone.std))
        shift = -torch.tensor(backbone.mean) / torch.tensor(backbone.std)
        self.scale: torch.Tensor
        self.shift: torch.Tensor
        self.register_buffer("scale", scale.reshape(1, 3, 1, 1))
        self.register_buffer("shift", shift.reshape(1, 3, 1, 1))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, H, W, 3) uint8 -> (B, ...)."""
        images = batch.permute(0, 3, 1, 2)  # B x 3 x H x W, channels last in memory
        output: torch.Tensor = self.truncated(images.float() * self.scale + self.shift)
        return output


class FeatureNetwork(TruncatedNetwork):
    """uint8 images (B, H, W, 3) -> the pooled output of a layer, (B, C, h, w)."""

    def __init__(self, backbone: Backbone, layer: str, pool: int) -> None:
        super().__init__(backbone, layer)
        self.pool = pool
        self.channels_last = backbone.channels_last
        self.prefix_tokens = backbone.prefix_tokens

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """(B, H, W, 3) uint8 -> (B, C, h, w)."""
        feature_map = to_map(super().forward(batch), self.channels_last, self.prefix_tokens)
        if self.pool == 0:
            return feature_map.mean(dim=(2, 3), keepdim=True)  # B x C x 1 x 1
        return nn.functional.avg_pool2d(feature_map, self.pool) if self.pool > 1 else feature_map


def to_map(output: torch.Tensor, channels_last: bool = False, prefix_tokens: int = 0) -> torch.Tensor:
    """A layer's output as a map (B, C, h, w): maps, channels-last maps, tokens (B, T, C) and vectors (B, C).

    Raises:
        VqiError: The output has another form.
    """
    if output.ndim == 4:
        return output.permute(0, 3, 1, 2) if channels_last else output
    if output.ndim == 3:
        tokens = output[:, prefix_tokens:]  # B x h*w x C
        side = math.isqrt(tokens.shape[1])
        if side * side == tokens.shape[1]:
            return tokens.transpose(1, 2).reshape(len(output), -1, side, side)
    if output.ndim == 2:
        return output[:, :, None, None]
    raise VqiError(f"a layer's output of shape {tuple(output.shape)} is no feature map; choose another layer")


def extract(
    images: npt.NDArray[np.uint8], rows: list[int], network: FeatureNetwork, batch_size: int, runtime: Runtime
) -> tuple[FloatArray, tuple[int, int, int]]:
    """Features of some rows of ``images`` (N, H, W, 3), in their order.

    Every batch has the same shape (the last is filled up), so that the features of an image do not depend on how
    many there are.

    Returns:
        Features (len(rows), D) float32 and the shape (C, h, w), D = C * h * w.

    Raises:
        VqiError: The pooling kernel is larger than the feature map, or features are not finite.
    """
    example = torch.from_numpy(_batch(images, rows[:1], batch_size))
    shape = _output_shape(network, example[:1])
    forward = compile_network(network, example, runtime)
    features = np.empty((len(rows), math.prod(shape)), np.float32)
    starts = range(0, len(rows), batch_size)
    for begin in track(starts, len(starts), "batches"):
        chosen = rows[begin : begin + batch_size]
        output = forward(torch.from_numpy(_batch(images, chosen, batch_size)))  # B x C x h x w
        features[begin : begin + len(chosen)] = output.reshape(batch_size, -1).numpy()[: len(chosen)]
    if not np.isfinite(features).all():
        raise VqiError(
            f"the features hold NaN or infinity in {runtime.precision}: use precision fp32, or another layer"
        )
    return features, shape


def _batch(images: npt.NDArray[np.uint8], rows: list[int], size: int) -> npt.NDArray[np.uint8]:
    batch = np.zeros((size, *images.shape[1:]), np.uint8)
    batch[: len(rows)] = images[rows]
    return batch


def _output_shape(network: FeatureNetwork, example: torch.Tensor) -> tuple[int, int, int]:
    network.eval()
    try:
        with torch.inference_mode():
            _, c, h, w = network(example).shape
    except RuntimeError as error:
        if network.pool > 1:
            raise VqiError(f"pool {network.pool} does not fit the layer's map: {error}; use a smaller pool") from error
        raise
    return c, h, w


def extract_splits(
    images: Images, backbone: Backbone, settings: FeatureExtract, parent: Backbone | None = None
) -> Features:
    """Features of the train and of the test images; of both backbones where one was fine-tuned from ``parent``.

    Raises:
        VqiError: Unknown layer, a layer that gives no map, an engine that is not installed.
    """
    runtime = choose(settings.engine, settings.precision)
    train, test = images.rows("train"), images.rows("test")

    def features_of(one: Backbone) -> tuple[tuple[FloatArray, FloatArray], tuple[int, int, int]]:
        network = FeatureNetwork(one, settings.layer, settings.pool)
        features, shape = extract(images.images, train + test, network, settings.batch_size, runtime)
        return (features[: len(train)], features[len(train) :]), shape

    features, shape = features_of(backbone)
    before = None if parent is None else features_of(parent)[0]
    record = {
        **provenance("feature_extract", settings.model_dump(), {}),
        "images": images.provenance,
        "image_size": images.images.shape[1],
        "backbone": {
            "name": backbone.name,
            "weights": backbone.weights,
            "weights_sha256": backbone.weights_sha256,
            "licence": backbone.licence,
            "mean": list(backbone.mean),
            "std": list(backbone.std),
        },
        "finetune": backbone.provenance,
        "runtime": {"engine": runtime.engine, "precision": runtime.precision, "reason": runtime.reason},
    }
    return Features(*features, shape, record, before)
