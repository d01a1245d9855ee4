"""Declaration of the step ``dataset_download``."""

from kfp import dsl

from vqi.config import DatasetDownload, defaults
from vqi_components.declare import LIGHT_IMAGE, step

_DEFAULT = defaults(DatasetDownload)


@dsl.container_component
def dataset_download(
    catalog: dsl.Output[dsl.Artifact],
    dataset: dsl.OutputPath(str),  # type: ignore[valid-type]
    categories: dsl.OutputPath(list),  # type: ignore[valid-type]
    source: str = _DEFAULT.source,
    only_categories: list = _DEFAULT.only_categories,  # type: ignore[type-arg]
    url: str = _DEFAULT.url,
    sha256: str = _DEFAULT.sha256,
    accept_license: bool = _DEFAULT.accept_license,
    limit_per_class: int = _DEFAULT.limit_per_class,
    train_fraction: float = _DEFAULT.train_fraction,
    hold_out_near_duplicates: bool = _DEFAULT.hold_out_near_duplicates,
    split_seed: int = _DEFAULT.split_seed,
):
    return step(
        "dataset_download",
        LIGHT_IMAGE,
        source=source,
        only_categories=only_categories,
        url=url,
        sha256=sha256,
        accept_license=accept_license,
        limit_per_class=limit_per_class,
        train_fraction=train_fraction,
        hold_out_near_duplicates=hold_out_near_duplicates,
        split_seed=split_seed,
        catalog=catalog.path,
        dataset=dataset,
        categories=categories,
    )
