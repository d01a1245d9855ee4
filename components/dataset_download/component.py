"""Declaration of the step ``dataset_download``."""

from kfp import dsl

from components.declare import LIGHT_IMAGE, step
from vqi.config import DatasetDownload, defaults

_DEFAULT = defaults(DatasetDownload)


@dsl.container_component
def dataset_download(
    catalog: dsl.Output[dsl.Artifact],
    dataset: dsl.OutputPath(str),  # type: ignore[valid-type]
    categories: dsl.OutputPath(list),  # type: ignore[valid-type]
    source: str = _DEFAULT.source,
    only_categories: list = _DEFAULT.only_categories,  # type: ignore[type-arg]
):
    return step(
        "dataset_download",
        LIGHT_IMAGE,
        source=source,
        only_categories=only_categories,
        catalog=catalog.path,
        dataset=dataset,
        categories=categories,
    )
