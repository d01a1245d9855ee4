"""Declaration of the step ``ssl_finetune``."""

from kfp import dsl

from vqi.config import SslFinetune, defaults
from vqi_components.declare import TORCH_IMAGE, step

_DEFAULT = defaults(SslFinetune)


@dsl.container_component
def ssl_finetune(
    images: dsl.Input[dsl.Dataset],
    backbone: dsl.Output[dsl.Model],
    parent: dsl.Output[dsl.Model],
    training_log: dsl.Output[dsl.Artifact],
    method: str = _DEFAULT.method,
    backbone_name: str = _DEFAULT.backbone_name,
    weights: str = _DEFAULT.weights,
    epochs: int = _DEFAULT.epochs,
    layer: str = _DEFAULT.layer,
    finetune: dict = _DEFAULT.finetune,  # type: ignore[type-arg]
    seed: int = _DEFAULT.seed,
):
    return step(
        "ssl_finetune",
        TORCH_IMAGE,
        images=images.path,
        method=method,
        backbone_name=backbone_name,
        weights=weights,
        epochs=epochs,
        layer=layer,
        finetune=finetune,
        seed=seed,
        backbone=backbone.path,
        parent=parent.path,
        training_log=training_log.path,
    )
