"""Declaration of the step ``preprocess``."""

from kfp import dsl

from vqi.config import Preprocess, defaults
from vqi_components.declare import EXECUTOR_INPUT, LIGHT_IMAGE, step

_DEFAULT = defaults(Preprocess)


@dsl.container_component
def preprocess(
    dataset: str,
    category: str,
    images: dsl.Output[dsl.Dataset],
    data_report: dsl.Output[dsl.Artifact],
    data_page: dsl.Output[dsl.HTML],
    data_page_folder: dsl.Output[dsl.Artifact],
    image_size: str = _DEFAULT.image_size,
    max_bad_fraction: float = _DEFAULT.max_bad_fraction,
    max_pixels: int = _DEFAULT.max_pixels,
    target_fpr: float = _DEFAULT.target_fpr,
    group_by: str = _DEFAULT.group_by,
):
    return step(
        "preprocess",
        LIGHT_IMAGE,
        dataset=dataset,
        category=category,
        image_size=image_size,
        max_bad_fraction=max_bad_fraction,
        max_pixels=max_pixels,
        target_fpr=target_fpr,
        group_by=group_by,
        images=images.path,
        data_report=data_report.path,
        data_page=data_page.path,
        data_page_folder=data_page_folder.path,
        executor_input=EXECUTOR_INPUT,
    )
