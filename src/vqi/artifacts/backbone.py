"""The artifact ``backbone``: the records in its header, and how it is written. ``vqi.network.backbones`` reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy.typing as npt
from pydantic import Field

from vqi import __version__
from vqi.artifacts.tensors import save_tensors
from vqi.config import SslFinetune
from vqi.records import Record

KIND = "vqi.backbone/2"
PARENT_KIND = "vqi.parent/2"

_Spread = Annotated[float, Field(ge=0)]


class Runtime(Record):
    """An engine and a precision, and why they were chosen."""

    engine: str = Field(pattern="^(ipex|openvino|eager)$")
    precision: str = Field(pattern="^(fp32|bf16)$")
    reason: str


class BackboneRecord(Record):
    """A network and what belongs to it."""

    name: str  # with the library: timm/... or torchvision/...
    mean: tuple[float, float, float]  # of the pixels in [0, 1], one per channel
    std: tuple[_Spread, _Spread, _Spread]
    weights: str  # where the weights come from
    weights_sha256: str  # of the file they were read from; empty for random and downloaded ones
    licence: str


class FinetuneRecord(Record):
    """What made the backbone."""

    version: str
    settings: SslFinetune  # in full, with the defaults of what `finetune` left out
    images: str  # sha256 of the images' index; '' where nothing was trained
    parent: str  # where the weights that it started from come from
    best_epoch: int = Field(ge=0)  # 0 where nothing was trained
    held_out: tuple[Annotated[int, Field(ge=0)], ...]  # rows of the good training images that did not train
    runtime: Runtime | None

    @classmethod
    def of(
        cls,
        settings: SslFinetune,
        parent: str,
        images: str = "",
        best_epoch: int = 0,
        held_out: tuple[int, ...] = (),
        runtime: Runtime | None = None,
    ) -> FinetuneRecord:
        """Of a backbone that this version makes."""
        return cls(
            version=__version__,
            settings=SslFinetune.model_validate_json(json.dumps(settings.in_full())),  # as it is read again
            images=images,
            parent=parent,
            best_epoch=best_epoch,
            held_out=held_out,
            runtime=runtime,
        )


class BackboneHeader(Record):
    """The header of ``backbone.safetensors``."""

    backbone: BackboneRecord
    made: FinetuneRecord


def save_backbone_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]], header: BackboneHeader) -> None:
    """Write ``backbone.safetensors``: the weights, the backbone's record and what made it."""
    save_tensors(path, KIND, arrays, header.model_dump(mode="json"))


def save_parent_arrays(path: Path, before: Mapping[str, npt.NDArray[Any]], header: BackboneHeader) -> None:
    """Write ``parent``: those weights of a backbone that fine-tuning changed, as they were before; none without it."""
    save_tensors(path, PARENT_KIND, before, header.model_dump(mode="json"))
