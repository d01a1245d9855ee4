"""What a method trains: a backbone up to one layer, of which a first part may be frozen. Imports torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from vqi.artifacts.backbone import Runtime
from vqi.config import Finetune
from vqi.errors import VqiError
from vqi.network.backbones import Backbone
from vqi.network.extraction import TruncatedNetwork, to_map
from vqi.network.runtime import Forward, compile_network
from vqi.network.truncation import trainable
from vqi.progress import message
from vqi.sizes import Size

_CHUNK = 16  # images at a time through the part that never trains: its engine wants batches of one size


class Encoder(nn.Module):
    """Images (B, 3, H, W) in [0, 1] -> the pooled output of a layer (B, C).

    The part up to ``frozen_up_to`` is computed by the engine of inference, without gradients; its images are rounded
    to the 256 levels of a pixel for that. It is not a submodule of this module: nothing in it can change.
    """

    def __init__(self, backbone: Backbone, layer: str, options: Finetune, runtime: Runtime, size: Size) -> None:
        super().__init__()
        behind, self.network = _sections(backbone, layer, options.frozen_up_to)
        self.frozen_statistics = options.batch_norm == "frozen"
        self.channels_last, self.prefix_tokens = backbone.channels_last, backbone.prefix_tokens
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.tensor(backbone.record.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(backbone.record.std).view(1, 3, 1, 1))
        self._front: Forward | None = None
        if behind:
            message(f"the network up to '{behind}' never trains")
            example = torch.zeros(_CHUNK, *size, 3, dtype=torch.uint8)
            self._front = compile_network(TruncatedNetwork(backbone, [behind]), example, runtime)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) -> (B, C)."""
        begin = _in_chunks(self._front, images) if self._front else (images - self.mean) / self.std
        if begin.ndim == 4:
            begin = begin.contiguous(memory_format=torch.channels_last)
        with GroupedInFp32():
            output = self.network(begin)
        feature_map = to_map(output, Size(*images.shape[2:]), self.channels_last, self.prefix_tokens)  # B x C x h x w
        return feature_map.mean(dim=(2, 3))

    def set_training(self, training: bool) -> None:
        """Training mode and gradients for what may train; statistics of batch normalisation move only if they may."""
        self.train(training)
        for parameter in self.parameters():
            parameter.requires_grad_(training)
        if self.frozen_statistics:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()


class GroupedInFp32(TorchFunctionMode):
    """Within it, autocast leaves grouped convolutions in fp32: their gradients are several times slower in bf16."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call ``func``; by torch's protocol."""
        kwargs = kwargs or {}
        groups = args[6] if len(args) > 6 else kwargs.get("groups", 1)
        if func is not torch.conv2d or groups == 1:
            return func(*args, **kwargs)
        floats: list[Any] = [one.float() if isinstance(one, torch.Tensor) else one for one in args]
        with torch.autocast("cpu", enabled=False):
            return func(*floats, **kwargs)


def _sections(backbone: Backbone, layer: str, frozen_up_to: str) -> tuple[str, nn.Module]:
    """The layer up to which nothing trains ('' for none), and the network after it.

    Raises:
        VqiError: No such layer, or the network cannot be cut there.
    """
    if frozen_up_to != "auto":
        return frozen_up_to, trainable(backbone.model, layer, frozen_up_to)
    before = stage_before(layer)
    if before not in dict(backbone.model.named_modules()):
        message(f"there is no stage before '{layer}': all of the network trains")
        return "", trainable(backbone.model, layer)
    try:
        return before, trainable(backbone.model, layer, before)
    except VqiError:
        message(f"the network cannot be cut after '{before}': all of it trains")
        return "", trainable(backbone.model, layer)


def stage_before(layer: str) -> str:
    """``blocks.4`` for ``blocks.5``, ``layer2`` for ``layer3``; '' where the name does not end in such a number."""
    found = re.fullmatch(r"(.*?)(\d+)", layer)
    return f"{found[1]}{int(found[2]) - 1}" if found and int(found[2]) > 0 else ""


def _in_chunks(forward: Forward, images: torch.Tensor) -> torch.Tensor:
    """The output (B, ...) for images (B, 3, H, W) in [0, 1], computed in chunks that are all of one size."""
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1)  # B x H x W x 3
    outputs = []
    for begin in range(0, len(pixels), _CHUNK):
        chunk = pixels[begin : begin + _CHUNK]
        filled = torch.cat([chunk, chunk.new_zeros(_CHUNK - len(chunk), *chunk.shape[1:])]).contiguous()
        with torch.autocast("cpu", enabled=False):  # the mode in which the engine compiled it
            outputs.append(forward(filled)[0][: len(chunk)])
    return torch.cat(outputs).clone()  # not a tensor of inference mode, which autograd refuses
