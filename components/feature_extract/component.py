"""Declaration of the step ``feature_extract``."""

from kfp import dsl

from vqi.config import FeatureExtract, defaults
from vqi_components.declare import TORCH_IMAGE, step

_DEFAULT = defaults(FeatureExtract)


@dsl.container_component
def feature_extract(
    images: dsl.Input[dsl.Dataset],
    backbone: dsl.Input[dsl.Model],
    parent: dsl.Input[dsl.Model],
    features: dsl.Output[dsl.Dataset],
    layer: str = _DEFAULT.layer,
    pool: int = _DEFAULT.pool,
    batch_size: int = _DEFAULT.batch_size,
    engine: str = _DEFAULT.engine,
    precision: str = _DEFAULT.precision,
):
    return step(
        "feature_extract",
        TORCH_IMAGE,
        images=images.path,
        backbone=backbone.path,
        parent=parent.path,
        layer=layer,
        pool=pool,
        batch_size=batch_size,
        engine=engine,
        precision=precision,
        features=features.path,
    )
