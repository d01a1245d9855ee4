"""The artifact ``backbone``: the records in its header. ``vqi.network.backbones`` reads and writes its weights."""

from __future__ import annotations

from vqi.config import SslFinetune
from vqi.records import Record


class Runtime(Record):
    """An engine and a precision, and why they were chosen."""

    engine: str  # ipex | openvino | eager
    precision: str  # fp32 | bf16
    reason: str


class BackboneRecord(Record):
    """A network and what belongs to it."""

    name: str  # with the library: timm/... or torchvision/...
    mean: tuple[float, ...]  # of the pixels in [0, 1], one per channel
    std: tuple[float, ...]
    weights: str  # where the weights come from
    weights_sha256: str  # of the file they were read from; empty for random and downloaded ones
    licence: str


class FinetuneRecord(Record):
    """What made the backbone."""

    version: str
    settings: SslFinetune  # in full, with the defaults of what `finetune` left out
    images: str  # sha256 of the images' index
    parent: str  # where the weights that it started from come from
    best_epoch: int  # 0 where nothing was trained
    held_out: tuple[int, ...]  # rows of the good training images that did not train
    runtime: Runtime | None


class BackboneHeader(Record):
    """The header of ``backbone.safetensors``."""

    backbone: BackboneRecord
    made: FinetuneRecord
