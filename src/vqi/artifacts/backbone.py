"""The artifact ``backbone``: the records in its header. ``vqi.network.backbones`` reads and writes its weights."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vqi.config import SslFinetune
from vqi.records import Record

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
    images: str  # sha256 of the images' index
    parent: str  # where the weights that it started from come from
    best_epoch: int = Field(ge=0)  # 0 where nothing was trained
    held_out: tuple[Annotated[int, Field(ge=0)], ...]  # rows of the good training images that did not train
    runtime: Runtime | None


class BackboneHeader(Record):
    """The header of ``backbone.safetensors``."""

    backbone: BackboneRecord
    made: FinetuneRecord
