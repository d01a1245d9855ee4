"""One pydantic model a step: names, defaults, ranges. The only place where a parameter or a default stands.

The command-line flags of a step are generated from its model, the pipeline takes its defaults from here, and a parity
test holds the kfp signatures against it. An unknown key is an error.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_settings import NoDecode

Engine = Literal["auto", "ipex", "openvino", "eager"]
Precision = Literal["auto", "fp32", "bf16"]


def _from_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


# On a command line a list is one JSON text, and is read by us: its texts may themselves be JSON.
Texts = Annotated[list[str], NoDecode, BeforeValidator(_from_json)]


class StepConfig(BaseModel):
    """What all steps share: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def defaults(model: type[StepConfig]) -> SimpleNamespace:
    """The defaults of a step's model, by attribute; a parameter without one is not there."""
    fields = model.model_fields.items()
    return SimpleNamespace(**{name: field.default for name, field in fields if not field.is_required()})


class DatasetDownload(StepConfig):
    """Fetch a dataset once, verify it, and keep one packed shard a category in the object store."""

    source: str = Field(
        "elpv", description="where the images come from: 'elpv', or 'folder:<path or uri>'", min_length=1
    )
    only_categories: Texts = Field([], description="which categories to take; empty = all")


class Preprocess(StepConfig):
    """Decode, check and resize the images of a category into one memory-mappable file."""

    dataset: str = Field(description="uri of the dataset in the object store, from dataset_download")
    category: str = Field(description="the category to prepare")
    image_size: int = Field(224, ge=32, le=2048, description="height and width in pixels that images are resized to")
    max_bad_fraction: float = Field(
        0.01,
        ge=0,
        le=1,
        description="unreadable images are skipped and listed up to this fraction; beyond it the step fails",
    )
    max_pixels: int = Field(
        100_000_000, ge=1024, description="an image with more pixels than this is not decoded (decompression bombs)"
    )


class SslFinetune(StepConfig):
    """Provide the backbone: pretrained weights as they are, or fine-tuned on the good images."""

    method: str = Field("pretrained", description="how to fine-tune the backbone: 'pretrained' leaves it as it is")
    backbone_name: str = Field(
        "tf_efficientnet_lite0", description="name of any torchvision or timm model", min_length=1
    )
    weights: str = Field(
        "pretrained",
        description="'pretrained' (the weights that come with the backbone), 'random', or a path or s3:// uri of a "
        ".safetensors or .pth file followed by '#sha256=<64 hex digits>'",
        min_length=1,
    )
    epochs: int = Field(0, ge=0, le=10_000, description="epochs to fine-tune; 0 for 'pretrained', which does not train")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of everything random")

    @model_validator(mode="after")
    def _epochs_fit_method(self) -> SslFinetune:
        if self.method == "pretrained" and self.epochs != 0:
            raise ValueError(f"method 'pretrained' does not train: expected epochs 0, got {self.epochs}")
        return self


class FeatureExtract(StepConfig):
    """One forward pass over train and test; the features of one layer."""

    layer: str = Field(
        "blocks.5", description="layer whose output is the feature map; 'vqi layers <backbone>' lists them"
    )
    pool: int = Field(
        1, ge=0, le=64, description="average-pooling kernel over the feature map; 1 = none, 0 = global average"
    )
    batch_size: int = Field(16, ge=1, le=1024, description="images a forward pass")
    engine: Engine = Field(
        "auto", description="what runs the network; auto = by a fixed rule on what the processor has"
    )
    precision: Precision = Field("auto", description="fp32 or bf16; auto = bf16 where the processor computes in it")


class PcaFit(StepConfig):
    """PCA of the good images' features, and a threshold from good images only."""

    variance: float = Field(0.99, gt=0, lt=1, description="fraction of the variance that the components keep")
    target_fpr: float = Field(0.05, gt=0, lt=1, description="share of good parts that may be flagged")
    folds: int = Field(10, ge=2, le=100, description="folds of the cross-conformal calibration")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of everything random")


class Evaluate(StepConfig):
    """Scores, anomaly maps, metrics and the report of a category."""

    bootstrap: int = Field(1000, ge=100, le=100_000, description="bootstrap repeats of the confidence interval")
    examples: int = Field(6, ge=0, le=50, description="example images a group in the report")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of everything random")


class Publish(StepConfig):
    """Write a complete, versioned model package to the object store."""


class Summarize(StepConfig):
    """The result table over all categories."""

    summaries: Texts = Field(description="the JSON summaries of the categories, from evaluate")
