"""Declaration of the step ``count_images``."""

from kfp import dsl

from vqi.config import CountImages, defaults
from vqi_components.declare import LIGHT_IMAGE, step

_DEFAULT = defaults(CountImages)


@dsl.container_component
def count_images(
    images: dsl.Input[dsl.Dataset],
    count: dsl.Output[dsl.Artifact],
    split: str = _DEFAULT.split,
):
    return step("count_images", LIGHT_IMAGE, images=images.path, split=split, count=count.path)
