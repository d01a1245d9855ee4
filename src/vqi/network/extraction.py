"""Images -> feature maps of some layers of a backbone, in one forward pass. Imports torch."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from vqi.artifacts.backbone import Runtime
from vqi.artifacts.features import FeatureMaps, Shape
from vqi.errors import VqiError
from vqi.network.backbones import Backbone, takes_no_images
from vqi.network.runtime import Forward, compile_network, few_threads
from vqi.network.truncation import truncate
from vqi.network.turns import MODULES
from vqi.progress import track
from vqi.sizes import Size


class TruncatedNetwork(nn.Module):
    """uint8 images (B, H, W, 3) -> the outputs of some layers, in the form that the backbone gives them."""

    def __init__(self, backbone: Backbone, layers: Sequence[str]) -> None:
        super().__init__()
        self.truncated = truncate(backbone.model, layers)
        # x / 255 normalised by mean and std, as one multiplication and one addition
        std = torch.tensor(backbone.record.std)
        scale, shift = 1 / (255 * std), -torch.tensor(backbone.record.mean) / std
        self.scale: torch.Tensor
        self.shift: torch.Tensor
        self.register_buffer("scale", scale.reshape(1, 3, 1, 1))
        self.register_buffer("shift", shift.reshape(1, 3, 1, 1))

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, H, W, 3) uint8 -> (B, ...) per layer."""
        images = batch.permute(0, 3, 1, 2)  # B x 3 x H x W, channels last in memory
        outputs: tuple[torch.Tensor, ...] = self.truncated(images.float() * self.scale + self.shift)
        return outputs


class FeatureNetwork(TruncatedNetwork):
    """uint8 images (B, H, W, 3) -> the pooled outputs of some layers, (B, C, h, w) each."""

    def __init__(self, backbone: Backbone, layers: Sequence[str], pool: int) -> None:
        super().__init__(backbone, layers)
        self.pool = pool
        self.channels_last = backbone.channels_last
        self.prefix_tokens = backbone.prefix_tokens

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, H, W, 3) uint8 -> (B, C, h, w) per layer."""
        size = Size(*batch.shape[1:3])
        return tuple(self._pooled(output, size) for output in super().forward(batch))

    def _pooled(self, output: torch.Tensor, size: Size) -> torch.Tensor:
        feature_map = to_map(output, size, self.channels_last, self.prefix_tokens)
        if self.pool == 0:
            return feature_map.mean(dim=(2, 3), keepdim=True)  # B x C x 1 x 1
        height, width = feature_map.shape[2:]
        if self.pool > min(height, width):
            raise VqiError(f"pool {self.pool} does not fit the layer's map of {height} x {width}: use a smaller pool")
        return nn.functional.avg_pool2d(feature_map, self.pool) if self.pool > 1 else feature_map


def to_map(output: torch.Tensor, size: Size, channels_last: bool = False, prefix_tokens: int = 0) -> torch.Tensor:
    """A layer's output as a map (B, C, h, w): maps, channels-last maps, tokens (B, T, C) and vectors (B, C).

    Args:
        output: Of the layer.
        size: Of the images; tokens lie in a grid of that shape.
        channels_last: Whether maps are (B, h, w, C).
        prefix_tokens: Before those of the grid.

    Raises:
        VqiError: The output has another form.
    """
    if output.ndim == 4:
        return output.permute(0, 3, 1, 2) if channels_last else output
    if output.ndim == 3:
        tokens = output[:, prefix_tokens:]  # B x h*w x C
        count = tokens.shape[1]
        height = max(1, round(math.sqrt(count * size.height / size.width)))
        if count % height == 0:
            return tokens.transpose(1, 2).reshape(len(output), -1, height, count // height)
    if output.ndim == 2:
        return output[:, :, None, None]
    raise VqiError(f"a layer's output of shape {tuple(output.shape)} is not a feature map; choose another layer")


class Extractor:
    """Computes feature maps; the network is compiled when it is first used.

    Every batch is full (the last one is filled up), so that an image's features do not depend on how many others there
    are: engines give an image other bits in a batch of another size (1e-7 of the score seen with OpenVINO, 1e-6 with
    eager). Several threads may use it.

    Args:
        backbone: The network and its record.
        layers: Whose outputs are read, in the order of the maps.
        pool: Kernel of the average pooling over each map; 1 = none, 0 = global average.
        batch_size: Images per forward pass.
        runtime: Engine and precision.
    """

    def __init__(self, backbone: Backbone, layers: Sequence[str], pool: int, batch_size: int, runtime: Runtime) -> None:
        self.runtime, self.batch_size = runtime, batch_size
        self._backbone, self._layers, self._pool = backbone, tuple(layers), pool
        self._compiled: dict[tuple[int, ...], Forward] = {}  # by the shape of a batch
        self._shapes: dict[tuple[int, ...], tuple[Shape, ...]] = {}  # of the maps, by the shape of an image
        self._lock = threading.Lock()

    def extract(
        self,
        images: npt.NDArray[np.uint8],
        rows: Sequence[int] | None = None,
        progress: str = "",
        into: Sequence[FeatureMaps] | None = None,
    ) -> FeatureMaps:
        """Feature maps of images.

        Args:
            images: (N, H, W, 3) uint8; a new size makes the network be compiled again.
            rows: Which of them, in this order; all when None. Not more than a batch of them is in memory at a time.
            progress: The name of the work on stderr; nothing is printed when empty.
            into: Where they are written, one after the other, with room for all of them; into new arrays when None.

        Returns:
            The maps; the first of ``into``, where that is given.

        Raises:
            VqiError: Unknown layer or one that gives no map, a pooling kernel larger than a map, or features that are
                not finite.
        """
        chosen = range(len(images)) if rows is None else rows
        with self._lock:
            size = self.batch_size
            forward = self._forward((size, *images.shape[1:]))
            shapes = self._shapes[images.shape[1:]]
            targets = into or [FeatureMaps(tuple(np.empty((len(chosen), *shape), np.float32) for shape in shapes))]
            starts = range(0, len(chosen), size)
            for begin in track(starts, len(starts), progress) if progress else starts:
                part = chosen[begin : begin + size]
                outputs = forward(torch.from_numpy(_batch(images, part, size)))
                maps = FeatureMaps(tuple(output[: len(part)].numpy() for output in outputs))
                if not all(np.isfinite(one).all() for one in maps.layers):
                    raise VqiError(
                        f"the features hold NaN or infinity in {self.runtime.precision}: use precision fp32, or "
                        "another layer"
                    )
                _put(maps, targets, begin)
        return targets[0]

    def shapes(self, size: Size) -> tuple[Shape, ...]:
        """The shapes (C, h, w) of the maps of images of a size.

        Raises:
            VqiError: Unknown layer, or one that gives no map of such images.
        """
        with self._lock:
            self._forward((self.batch_size, *size, 3))
            return self._shapes[*size, 3]

    def _forward(self, shape: tuple[int, ...]) -> Forward:
        """The compiled network for batches of a shape (B, H, W, 3)."""
        if shape not in self._compiled:
            network = FeatureNetwork(self._backbone, self._layers, self._pool).eval()
            self._shapes[shape[1:]] = self._shapes_of(network, shape[1:])
            self._compiled[shape] = compile_network(network, torch.zeros(shape, dtype=torch.uint8), self.runtime)
        return self._compiled[shape]

    def _shapes_of(self, network: FeatureNetwork, shape: tuple[int, ...]) -> tuple[Shape, ...]:
        """The shapes (C, h, w) of the maps of an image of a shape (H, W, 3)."""
        try:
            with MODULES, few_threads(1), torch.inference_mode():
                maps = network(torch.zeros((1, *shape), dtype=torch.uint8))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise takes_no_images(self._backbone, Size(*shape[:2]), error) from error
        return tuple((one.shape[1], one.shape[2], one.shape[3]) for one in maps)


def _put(maps: FeatureMaps, targets: Sequence[FeatureMaps], begin: int) -> None:
    """Write maps into targets that lie one after the other, from a row on."""
    for target in targets:
        fitting = min(len(maps), max(0, len(target) - begin))
        for own, one in zip(target.layers, maps.layers, strict=True):
            own[begin : begin + fitting] = one[:fitting]
        maps, begin = maps.rows(slice(fitting, None)), max(0, begin - len(target))


def _batch(images: npt.NDArray[np.uint8], rows: Sequence[int], size: int) -> npt.NDArray[np.uint8]:
    batch = np.zeros((size, *images.shape[1:]), np.uint8)
    batch[: len(rows)] = images[list(rows)]
    return batch
