"""One pydantic model per step: names, defaults, ranges. The only place that defines a parameter or a default.

The command-line flags of a step are generated from its model, the pipeline takes its defaults from here, and a parity
test compares the kfp signatures with it. An unknown key is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from vqi import strict_json
from vqi.errors import unknown
from vqi.sizes import FIT, LONGEST, SHORTEST, wanted_size

Engine = Literal["auto", "ipex", "openvino", "eager"]
Precision = Literal["auto", "fp32", "bf16"]
Gate = Literal["auto", "manual", "off"]
RetrainIf = Literal["changed", "drifted", "always"]
Scaling = Literal["raw", "standardised", "squashed"]
Normalise = Literal["length", "whitened"]
# Of the default backbone: what is fine-tuned is what is read.
LAYERS = '["blocks.3", "blocks.4", "blocks.5", "blocks.6"]'


def one_or_several(value: Any) -> Any:
    """A list of names as JSON text; a name as it is."""
    return json.dumps(value) if isinstance(value, (list, tuple)) else value


def _canonical_layers(value: str) -> str:
    """Equal lists as equal texts; a list of one layer as that layer."""
    names = layer_names(value)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"expected a layer, or a JSON list of different ones, got {value!r}")
    return names[0] if len(names) == 1 else json.dumps(list(names))


def layer_names(value: str) -> tuple[str, ...]:
    """The layers that the parameter ``layer`` names, in its order.

    Raises:
        ValueError: It begins like a JSON list and is not a list of texts.
    """
    if not value.startswith("["):
        return (value,) if value else ()
    try:
        names = strict_json.loads(value)
    except ValueError as error:
        raise ValueError(f'expected a JSON list of layers, such as ["a", "b"], got {value!r}') from error
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f'expected a JSON list of layers, such as ["a", "b"], got {value!r}')
    return tuple(names)


Layer = Annotated[
    str,
    BeforeValidator(one_or_several),
    AfterValidator(_canonical_layers),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
    Field(
        description="layer whose output is the feature map, or a list of layers, the deepest one last; "
        "'vqi layers <backbone>' lists them"
    ),
]


def number_or_words(value: Any) -> Any:
    """A whole number as text; words as they are."""
    return str(value) if type(value) is int else value


def _is_size(value: str) -> str:
    wanted_size(value)
    return value


ImageSize = Annotated[
    str,
    BeforeValidator(number_or_words),
    AfterValidator(_is_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^(fit(:[0-9]+)?|[0-9]+(x[0-9]+)?)$"},
                {"type": "integer", "minimum": SHORTEST, "maximum": LONGEST},
            ]
        }
    ),
    Field(
        description="pixels that images are resized to: 320 = 320 x 320; 208x512 = 208 wide and 512 high; fit = in the "
        "shape of most training photographs, with as many pixels as 320 x 320; fit:416 = with as many as 416 x 416"
    ),
]


def _from_json(value: Any) -> Any:
    return strict_json.loads(value) if isinstance(value, str) else value


def _is_pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"expected a regular expression, got {value!r} ({error})") from error
    return value


# What the parameter group_by says, besides a regular expression.
BY_FOLDER, BY_NOTHING = "folder", "none"
_BY_EXIF = re.compile("exif:([0-9]{1,6})")


def exif_seconds(group_by: str) -> int | None:
    """The seconds in ``exif:<seconds>``; None for what says something else."""
    found = _BY_EXIF.fullmatch(group_by)
    return None if found is None else int(found[1])


def _is_group_by(value: str) -> str:
    if (value == "exif" or value.startswith("exif:")) and exif_seconds(value) is None:
        raise ValueError(f"expected exif:<seconds>, such as exif:10, got {value!r}")
    return _is_pattern(value)


GroupBy = Annotated[str, AfterValidator(_is_group_by)]
_MOST_KEYS, _LONGEST_KEY = 3, 40  # in an error
ALWAYS_ALLOWED = 3  # unreadable images of a category, unless max_bad_fraction is 0: one of 20 is no reason to stop
LEAST_TRAINING = 3  # good images, below which nothing can be calibrated
TARGET_FPR = 0.05
TargetFpr = Annotated[float, Field(gt=0, lt=1, description="share of good parts that may be flagged")]
# On a command line a list is one JSON text, and is parsed here: its texts may themselves be JSON.
Texts = Annotated[list[str], BeforeValidator(_from_json)]
Mapping = Annotated[dict[str, Any], BeforeValidator(_from_json)]


class Settings(BaseModel):
    """Unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class StepConfig(Settings):
    """The settings of a step."""


def defaults(model: type[StepConfig]) -> SimpleNamespace:
    """The defaults of a step's model, by attribute; a parameter without one is not there."""
    fields = model.model_fields.items()
    return SimpleNamespace(**{name: field.default for name, field in fields if not field.is_required()})


class _Source(Settings):
    source: str = Field(
        "elpv",
        description="where the images come from: 'elpv', 'folder:<path or uri>', 'archive:<path or uri>', "
        "'csv:<path or uri>', 'bucket:<s3:// uri>', 'mvtec-ad', 'visa', 'btad', 'mpdd', "
        "'kolektor-sdd' or 'magnetic-tile'",
        min_length=1,
    )


class SourceRequest(Settings):
    """What is asked of a source, besides its name."""

    only_categories: Texts = Field([], description="which categories to take; empty = all")
    url: str = Field("", description="where a public dataset's archive is, instead of the known address; or a path")
    sha256: str = Field(
        "", pattern="^([0-9a-f]{64})?$", description="what the archive's sha256 must be; empty = the known one, if any"
    )
    accept_license: bool = Field(
        False, description="whether you accept a public dataset's licence; on one machine USER_CONSENT=y accepts it too"
    )


class Division(Settings):
    """How many images are taken, and how they are split where the source does not say."""

    limit_per_class: int = Field(0, ge=0, description="images taken per split and defect type; 0 = all")
    train_fraction: float = Field(
        0.8, gt=0, le=1, description="share of the good images used for training, if the source has no split"
    )
    hold_out_near_duplicates: bool = Field(
        True, description="whether photographs of the same part stay on one side of a split that is made here"
    )
    split_seed: int = Field(0, ge=0, lt=2**31, description="seed of the choice for limit_per_class and of the split")


class Answers(Settings):
    """What operators said of photographs."""

    with_verdicts: bool = Field(
        False,
        description="whether photographs that operators answered are added: confirmed good ones train, confirmed "
        "defects test",
    )


class Preparation(Settings):
    """How images are prepared."""

    image_size: ImageSize = FIT
    max_bad_fraction: float = Field(
        0.05,
        ge=0,
        le=1,
        description="unreadable images are skipped and listed up to this fraction of a category, and up to "
        f"{ALWAYS_ALLOWED} in any case; beyond that the step fails; 0 = none",
    )
    max_pixels: int = Field(
        100_000_000, ge=1024, description="an image with more pixels than this is not decoded (decompression bombs)"
    )
    target_fpr: TargetFpr = TARGET_FPR
    group_by: GroupBy = Field(
        "",
        description="which good photographs belong together (of one part, shift or batch), so that they are never on "
        "both sides of a calibration: 'folder' = those in one sub-folder of train/good, also taken where nothing is "
        "said; 'exif:<seconds>' = those of one camera, each taken within so many seconds of the one before; 'none'; or "
        "a regular expression that finds the group's name in the path, such as '(part[0-9]+)_'. Copies and "
        "near-duplicates are kept together anyway",
    )


class Preprocess(Preparation, StepConfig):
    """Decode, check and resize the images of a category into one memory-mappable file."""

    dataset: str = Field(description="uri of the dataset in the object store, from dataset_download")
    category: str = Field(description="the category to prepare")


class Finetune(Settings):
    """What all methods of fine-tuning share: the keys of the parameter ``finetune``."""

    batch_size: int = Field(32, ge=2, le=4096, description="images per step of the optimiser")
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="sgd (with momentum 0.9) or adamw")
    lr: float = Field(0.03, gt=0, le=10, description="learning rate at the start; it falls to 0 along a cosine")
    weight_decay: float = Field(3e-5, ge=0, le=1, description="weight decay")
    frozen_up_to: str = Field(
        "auto",
        description="the network up to and including this layer never trains; auto = the stage before `layer` by its "
        "name (blocks.4 before blocks.5), so that only the last one trains; '' = all of it trains",
    )
    batch_norm: Literal["frozen", "train"] = Field(
        "frozen",
        description="the statistics of batch normalisation: frozen = as they came with the weights; train = of each "
        "batch, which a few hundred images of one kind of part estimate badly",
    )
    freeze_epochs: int = Field(0, ge=0, description="epochs at the start in which only the method's own head trains")
    validation_fraction: float = Field(
        0.1, gt=0, le=0.5, description="share of the good training images that do not train and choose the best epoch"
    )
    patience: int = Field(0, ge=0, description="epochs without a better validation loss before it stops; 0 = never")
    image_size: int = Field(
        0,
        ge=0,
        le=LONGEST,
        description="pixels per side in training, 32 or more; images that are not square keep their shape and have as "
        "many pixels; 0 = as prepared",
    )
    precision: Precision = Field("auto", description="fp32 or bf16; auto = bf16 where the processor is faster in it")

    @model_validator(mode="after")
    def _size_is_of_an_image(self) -> Finetune:
        if 0 < self.image_size < SHORTEST:
            raise ValueError(f"image_size: expected 0 or at least {SHORTEST}, got {self.image_size}")
        return self


class SimSiam(Finetune):
    """SimSiam's keys of ``finetune``. Each augmentation can be turned off: it may look like a defect."""

    lr: float = Field(0.25, gt=0, le=10, description="learning rate for a batch of 256, scaled with the batch")
    weight_decay: float = Field(1e-4, ge=0, le=1, description="weight decay")
    initial_checkpoint: str = Field(
        "",
        pattern="^(.+#sha256=[0-9a-f]{64})?$",
        description="a SimSiam checkpoint in its authors' layout (module.encoder.*), whose encoder replaces "
        "`weights`: '<path or uri>#sha256=<64 hex digits>'; '' = none",
    )
    projection_width: int = Field(2048, ge=8, le=8192, description="width d of the projection, the output z")
    prediction_width: int = Field(512, ge=4, le=8192, description="width of the prediction's hidden layer")
    crop_min_scale: float = Field(0.2, gt=0, le=1, description="smallest share of the area that a crop keeps")
    flip: float = Field(0.5, ge=0, le=1, description="probability of a horizontal flip")
    jitter: float = Field(0.8, ge=0, le=1, description="probability of a change of colours")
    brightness: float = Field(0.4, ge=0, le=1, description="largest change of brightness")
    contrast: float = Field(0.4, ge=0, le=1, description="largest change of contrast")
    saturation: float = Field(0.4, ge=0, le=1, description="largest change of saturation")
    hue: float = Field(0.1, ge=0, le=0.5, description="largest change of hue, as a share of the colour circle")
    greyscale: float = Field(0.2, ge=0, le=1, description="probability of a greyscale view")
    blur: float = Field(0.5, ge=0, le=1, description="probability of a Gaussian blur of sigma 0.1 to 2 pixels")


SGD_LR = 0.03  # of CutPaste's paper


class CutPaste(Finetune):
    """CutPaste's keys of ``finetune``; lengths in pixels of the images that train."""

    optimizer: Literal["sgd", "adamw"] = Field("adamw", description="sgd (with momentum 0.9) or adamw")
    lr: float = Field(
        1e-3,
        gt=0,
        le=10,
        description="learning rate at the start, 0.03 by default with sgd; it falls to 0 along a cosine",
    )
    variant: Literal["normal", "scar", "union", "3way"] = Field(
        "3way", description="normal: patches; scar: thin rotated ones; union: both as one class; 3way: as two classes"
    )
    freeze_epochs: int = Field(1, ge=0, description="epochs at the start in which only the method's own head trains")
    head_layers: int = Field(2, ge=1, le=8, description="layers of the classification head, the last one included")
    head_width: int = Field(128, ge=2, le=4096, description="width of the head's hidden layers")
    patch_area: tuple[float, float] = Field((0.02, 0.15), description="smallest and largest share of the image's area")
    patch_aspect: tuple[float, float] = Field((0.3, 3.3), description="smallest and largest ratio of a patch's sides")
    scar_width: tuple[int, int] = Field((2, 16), description="smallest and largest width of a scar")
    scar_length: tuple[int, int] = Field((10, 25), description="smallest and largest length of a scar")
    scar_rotation: float = Field(45, ge=0, le=180, description="largest rotation of a scar, in degrees")
    patch_jitter: float = Field(0.1, ge=0, le=1, description="largest change of colours within a patch or scar")

    @model_validator(mode="before")
    @classmethod
    def _lr_of_the_optimizer(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("optimizer") == "sgd":
            return {"lr": SGD_LR, **given}
        return given

    @model_validator(mode="after")
    def _ranges_in_order(self) -> CutPaste:
        for name in ("patch_area", "patch_aspect", "scar_width", "scar_length"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name}: expected two numbers, 0 < smallest <= largest, got {low}, {high}")
        if self.patch_area[1] > 1:
            raise ValueError(f"patch_area: expected at most the whole image, 1, got {self.patch_area[1]}")
        return self


# By method; the module of that name in vqi.self_supervised is the method.
FINETUNE: dict[str, type[Finetune]] = {
    "simsiam": SimSiam,
    "cutpaste": CutPaste,
}


def _first(keys: Iterable[str]) -> str:
    """A few keys, for an error."""
    names = [key if len(key) <= _LONGEST_KEY else f"{key[:_LONGEST_KEY]}..." for key in sorted(keys)]
    return ", ".join(names[:_MOST_KEYS]) + (f" and {len(names) - _MOST_KEYS} more" if len(names) > _MOST_KEYS else "")


class SslFinetune(StepConfig):
    """Provide the backbone: pretrained weights as they are, or fine-tuned on the good images."""

    method: str = Field(
        "pretrained",
        description="how to fine-tune the backbone: "
        + ", ".join(f"'{name}'" for name in FINETUNE)
        + ", or 'pretrained', which leaves it as it is",
    )
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
    layer: Layer = LAYERS
    finetune: Mapping = Field(
        {},
        description="settings of the method, such as {\"patience\": 3}; 'vqi parameters' lists the keys of each method",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="seed of everything random")

    @model_validator(mode="after")
    def _fits_method(self) -> SslFinetune:
        if self.method == "pretrained":
            if self.epochs != 0 or self.finetune:
                got = f"epochs {self.epochs}" if self.epochs else f"finetune with {_first(self.finetune)}"
                raise ValueError(
                    f"method 'pretrained' does not train: expected epochs 0 and no finetune, got {got}; take another "
                    f"method ({', '.join(FINETUNE)}) or leave it out"
                )
            return self
        if self.method not in FINETUNE:
            raise ValueError(str(unknown("method", self.method, ["pretrained", *FINETUNE])))
        options = self.finetune_settings()
        if self.epochs <= options.freeze_epochs:
            raise ValueError(
                f"method '{self.method}' trains the backbone after freeze_epochs {options.freeze_epochs}: expected "
                f"more epochs than that, got {self.epochs}"
            )
        return self

    def in_full(self) -> dict[str, Any]:
        """All settings, with the defaults of what ``finetune`` leaves out."""
        if self.method == "pretrained":
            return self.model_dump()
        return {**self.model_dump(), "finetune": self.finetune_settings().model_dump()}

    def finetune_settings(self) -> Finetune:
        """The method's settings: what ``finetune`` says, and the defaults of the others.

        Raises:
            ValueError: An unknown key, or a value out of its range.
        """
        model = FINETUNE[self.method]
        for key in self.finetune:
            if key not in model.model_fields:
                raise ValueError(str(unknown(f"key of finetune for {self.method}", key, model.model_fields)))
        try:
            return model(**self.finetune)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            name = ".".join(str(part) for part in problem["loc"])
            message = f"{name}: {problem['msg']}, got {problem['input']!r}" if name else problem["msg"]
            raise ValueError(f"finetune {message.removeprefix('Value error, ')}") from None


class FeatureExtract(StepConfig):
    """One forward pass over train and test; the feature maps of one or several layers."""

    layer: Layer = LAYERS
    pool: int = Field(
        1, ge=0, le=64, description="average-pooling kernel over the feature map; 1 = none, 0 = global average"
    )
    batch_size: int = Field(16, ge=1, le=1024, description="images per forward pass")
    engine: Engine = Field(
        "auto", description="what runs the network; auto = by a fixed rule from what the processor supports"
    )
    precision: Precision = Field("auto", description="fp32 or bf16; auto = bf16 where the processor is faster in it")

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that are read, in the order of their feature maps."""
        return layer_names(self.layer)


class PcaFit(StepConfig):
    """A detector of features unlike those of the good images, and a threshold from good images only."""

    kind: str = Field(
        "ensemble",
        description="name of the detector; 'vqi parameters' lists all",
        min_length=1,
    )
    variance: float = Field(
        0.99, gt=0, lt=1, description="of pca and patch_pca: fraction of the variance that the components keep"
    )
    scaling: Scaling = Field(
        "squashed",
        description="of the features' channels: raw = none; standardised = each is divided by its spread on the good "
        "images; squashed = that, and limited by tanh(x / 2)",
    )
    channels: int = Field(
        256,
        ge=0,
        le=100_000,
        description="of pca: directions that are kept of the layers' channels, where there are more channels, and "
        "enough images; 0 = all",
    )
    coordinates: int = Field(
        200,
        ge=1,
        le=10_000,
        description="of mahalanobis and neighbours: PCA coordinates of the channels that are kept at most",
    )
    shrinkage: float = Field(
        0.3,
        gt=0,
        le=1,
        description="of mahalanobis and of neighbours with whitened: weight of equal variances in the covariance, "
        "which few images tell badly; 1 = equal variances",
    )
    bank: int = Field(
        4000, ge=1, le=100_000, description="of neighbours: vectors of good parts that new ones are compared with"
    )
    normalise: Normalise = Field(
        "length",
        description="of neighbours: length = each position's vector of unscaled channels is brought to length 1; "
        "whitened = its coordinates are each divided by their spread instead (see shrinkage)",
    )
    aggregate: float = Field(
        0.05,
        gt=0,
        le=1,
        description="share of the anomaly map's cells, the highest ones, whose mean makes the image's score; 1 = all",
    )
    target_fpr: TargetFpr = TARGET_FPR
    folds: int = Field(
        30, ge=2, le=100, description="folds of the cross-conformal calibration, at most one for each group of images"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="seed of everything random")


class Evaluate(StepConfig):
    """Scores, anomaly maps, metrics and the report of a category."""

    bootstrap: int = Field(1000, ge=100, le=100_000, description="bootstrap repeats of the confidence interval")
    examples: int = Field(6, ge=0, le=50, description="example images per group in the report")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of everything random")


class Promotion(Settings):
    """When a new model is used."""

    gate: Gate = Field(
        "auto",
        description="who decides whether a new model becomes the champion, which is used from then on: auto = a "
        "comparison with the champion, manual = a person ('vqi models promote'), off = each new model does",
    )
    max_regression: float = Field(
        0.01,
        ge=0,
        le=1,
        description="by how much image AUROC and recall of a new model may be worse than the champion's",
    )
    min_auroc: float = Field(0.0, ge=0, le=1, description="the image AUROC that the first champion must reach; 0 = any")
    max_megabytes: float = Field(
        0.0, ge=0, description="how many megabytes the package of a new model may have; 0 = any number"
    )
    max_milliseconds: float = Field(
        0.0,
        ge=0,
        description="how many milliseconds a new model may take for one photograph, from its file to the score, on the "
        "machine of the step publish; 0 = any number, and nothing is measured",
    )


class Publish(Promotion, StepConfig):
    """Write a complete, versioned model package to the object store, and decide whether it is used from now on."""

    recipe: str = Field(
        "", description="digest of the parameters and the code that made the model, from dataset_download; empty = none"
    )
    run: str = Field(
        "", description="id of the run, under which the category's row of the table is left; empty = it is not left"
    )
    dataset: str = Field("", description="uri of the dataset in the object store, from dataset_download")
    summary: str = Field("", description="the category's row of the table as JSON, from evaluate")


class Summarize(StepConfig):
    """The result table over all categories."""

    run: str = Field(description="id of the run, under which each category's row was left", min_length=1)
    dataset: str = Field(
        "", description="uri of the dataset, whose catalog names the categories; empty = the one that the rows name"
    )


# The fields are in the order of the bases from the last to the first, which is that of the data path.
class DatasetDownload(
    Promotion,
    Evaluate,
    PcaFit,
    FeatureExtract,
    SslFinetune,
    Preparation,
    Answers,
    Division,
    SourceRequest,
    _Source,
    StepConfig,
):
    """Fetch a dataset once, verify it, and keep one packed shard per category in the object store; of its categories,
    choose those that have to be trained.

    It is given the parameters of all steps: whether a model would be the one that is there depends on them.
    """

    retrain_if: RetrainIf = Field(
        "changed",
        description="which categories are trained: changed = those of which a photograph, a parameter or vqi itself "
        "changed since their model was made; drifted = not those of which only photographs changed, as long as the new "
        "good ones are as good ones should be under the model that is used; always = all",
    )
    run: str = Field(
        "", description="id of the run, under which the rows of unchanged categories are left; empty = they are not"
    )


STEPS: tuple[type[StepConfig], ...] = (
    DatasetDownload, Preprocess, SslFinetune, FeatureExtract, PcaFit, Evaluate, Publish, Summarize,
)  # fmt: skip
