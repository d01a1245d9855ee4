"""Backbones: any torchvision or timm model, any layer; saved and loaded. Imports torch.

The normalisation of the input belongs to the backbone's record and is never an option of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torchvision
from torch import nn
from torchvision.models import SwinTransformer, VisionTransformer

from vqi.artifacts.backbone import (
    KIND,
    PARENT_KIND,
    BackboneHeader,
    BackboneRecord,
    FinetuneRecord,
    save_backbone_arrays,
    save_parent_arrays,
)
from vqi.artifacts.tensors import Arrays, load_tensors
from vqi.errors import VqiError, unknown, unknown_layer
from vqi.records import cut, parse
from vqi.sizes import Size, square

AGAIN = "run ssl_finetune again"
DEFAULT_SIZE = square(224)  # of images, where nothing is said
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Backbone:
    """A network with what belongs to it."""

    record: BackboneRecord
    model: nn.Module
    channels_last: bool = False  # maps come as (B, h, w, C), as in Swin
    prefix_tokens: int = 0  # class and register tokens before those of the patches
    made: FinetuneRecord | None = None  # what ssl_finetune wrote of it; None for one that was not read from a file

    def with_weights(self, weights: str, sha256: str = "", **changed: str) -> Backbone:
        """The same with another record of where its weights come from."""
        return replace(
            self, record=self.record.model_copy(update={"weights": weights, "weights_sha256": sha256, **changed})
        )


# ----------------------------------------------------------------------------------------------------------- networks


def model_names() -> list[str]:
    """All names that ``build`` knows, without the library in front."""
    return sorted({*timm.list_models(), *torchvision.models.list_models(module=torchvision.models)})


def skeleton(name: str, size: Size) -> Backbone:
    """The network with random weights."""
    library, _, short = name.rpartition("/")
    in_torchvision = short in torchvision.models.list_models(module=torchvision.models)
    if library in ("", "torchvision") and in_torchvision:
        model = create_torchvision(short, size)
        mean, std = _IMAGENET
        return Backbone(
            BackboneRecord(name=f"torchvision/{short}", mean=mean, std=std, weights="", weights_sha256="", licence=""),
            model,
            channels_last=isinstance(model, SwinTransformer),
            prefix_tokens=int(isinstance(model, VisionTransformer)),
        )
    if library in ("", "timm") and timm.is_model(short):
        model = create_timm(short, size)
        config = model.pretrained_cfg
        return Backbone(
            BackboneRecord(
                name=f"timm/{short}",
                mean=tuple(config["mean"]),
                std=tuple(config["std"]),
                weights="",
                weights_sha256="",
                licence=str(config.get("license") or ""),
            ),
            model,
            channels_last=getattr(model, "output_fmt", "NCHW") == "NHWC",
            prefix_tokens=int(getattr(model, "num_prefix_tokens", 0)),
        )
    raise unknown("backbone", name, model_names())


def create_torchvision(name: str, size: Size, weights: str | None = None) -> nn.Module:
    """A torchvision model, for images of that size where it takes only one.

    Raises:
        VqiError: It takes only square images, and these are not.
    """
    fixed: dict[str, Any] = {}
    if name.startswith("vit_"):
        if size.height != size.width:
            raise VqiError(
                f"torchvision/{name} takes only square images, not {size}: set image_size to one number, such as 224"
            )
        fixed = {"image_size": size.height}
    model: nn.Module = torchvision.models.get_model(name, weights=weights, **fixed)
    return model


def create_timm(name: str, size: Size, pretrained: bool = False) -> Any:
    """A timm model, for images of that size where it takes only one."""
    config = timm.get_pretrained_cfg(name)
    fixed: dict[str, Any] = {"img_size": tuple(size)} if config is not None and config.fixed_input_size else {}
    return timm.create_model(name, pretrained=pretrained, **fixed)


# ----------------------------------------------------------------------------------------------------------- layers


def find_layer(model: nn.Module, layer: str) -> nn.Module:
    """The layer of that name.

    Raises:
        VqiError: No such layer; the message lists near ones or the stages.
    """
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if layer in modules and layer:
        return modules[layer]
    raise unknown_layer(layer, [name for name in modules if name])


def layer_shapes(backbone: Backbone, size: Size = DEFAULT_SIZE) -> list[tuple[str, str, tuple[int, ...]]]:
    """Every layer that gives a tensor: its name, its kind and the shape of its output without the batch."""
    found: list[tuple[str, str, tuple[int, ...]]] = []
    hooks = [
        module.register_forward_hook(_recorder(name, found)) for name, module in backbone.model.named_modules() if name
    ]
    try:
        with torch.inference_mode():
            device = next(backbone.model.parameters()).device
            backbone.model.eval()(torch.zeros(1, 3, *size, device=device))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise takes_no_images(backbone, size, error) from error
    finally:
        for hook in hooks:
            hook.remove()
    return found


def takes_no_images(backbone: Backbone, size: Size, error: Exception) -> VqiError:
    """The error for a network that cannot compute with images of a size, because it halves them too often, say."""
    reason = cut(" ".join(str(error).split()))
    name = backbone.record.name
    return VqiError(f"{name} takes no images of {size} pixels: set a larger image_size ({reason})")


def _recorder(name: str, found: list[tuple[str, str, tuple[int, ...]]]) -> Any:
    def record(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor) and output.ndim in (2, 3, 4):
            found.append((name, type(module).__name__, tuple(output.shape[1:])))

    return record


# ------------------------------------------------------------------------------------------------------ save, load


def save_backbone(path: Path, backbone: Backbone, made: FinetuneRecord) -> None:
    """Write ``backbone.safetensors``."""
    header = BackboneHeader(backbone=backbone.record, made=made)
    save_backbone_arrays(path, _arrays(backbone.model.state_dict()), header)


def save_parent(path: Path, before: Mapping[str, torch.Tensor], backbone: Backbone, made: FinetuneRecord) -> None:
    """Write the weights ``before`` fine-tuning."""
    save_parent_arrays(path, _arrays(before), BackboneHeader(backbone=backbone.record, made=made))


def _arrays(tensors: Mapping[str, torch.Tensor]) -> Arrays:
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def load_parent(path: Path, backbone: Backbone) -> Backbone | None:
    """The backbone before it was fine-tuned; None where it was not.

    Raises:
        VqiError: Another file, or one of another backbone.
    """
    header, before = _read(path, PARENT_KIND)
    if not before:
        return None
    model = copy.deepcopy(backbone.model)
    _load_own(model, model.state_dict() | before, path)
    return replace(backbone, model=model).with_weights(header.made.parent)


def load_backbone(path: Path, size: Size) -> Backbone:
    """Read ``backbone.safetensors``.

    Raises:
        VqiError: Another file, or a model of another version of the library.
    """
    header, tensors = _read(path, KIND)
    backbone = skeleton(header.backbone.name, size)
    _load_own(backbone.model, tensors, path)
    return replace(backbone, record=header.backbone, made=header.made)


def _read(path: Path, kind: str) -> tuple[BackboneHeader, dict[str, torch.Tensor]]:
    """The header and the weights of a file that ``_save`` wrote."""
    arrays, header = load_tensors(path, kind, AGAIN)
    for name, array in arrays.items():
        if np.isnan(array).any():
            raise VqiError(f"{path}: weights '{name}' hold NaN; {AGAIN}")
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    return parse(BackboneHeader, header, str(path), AGAIN), tensors


def _load_own(model: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Load weights that ``_save`` wrote of such a network: they have its names, shapes and dtypes."""
    for name, own in model.state_dict().items():
        if name in tensors and tensors[name].dtype != own.dtype:
            raise VqiError(f"{path}: weights '{name}': expected {own.dtype}, got {tensors[name].dtype}; {AGAIN}")
    load_strictly(model, tensors, str(path))


# ---------------------------------------------------------------------------------------------------------- weights


def load_strictly(model: nn.Module, tensors: dict[str, torch.Tensor], source: str) -> None:
    """Load tensors whose names are exactly those of the network; ``source`` is their name in errors."""
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        ours, theirs = set(model.state_dict()), set(tensors)
        missing, extra = sorted(ours - theirs), sorted(theirs - ours)
        raise VqiError(
            f"weights '{source}' do not fit the backbone: {len(ours & theirs)} of {len(ours)} names match; "
            f"missing {missing[:3]}, unexpected {extra[:3]}{_other_shape(model, tensors)}; set backbone to the model "
            "they belong to"
        ) from error


def _other_shape(model: nn.Module, tensors: dict[str, torch.Tensor]) -> str:
    """The first tensor that is of another shape than the network's, as a part of a sentence; '' for none."""
    for name, own in model.state_dict().items():
        if name in tensors and tensors[name].shape != own.shape:
            return f"; '{name}' has shape {tuple(tensors[name].shape)}, expected {tuple(own.shape)}"
    return ""
