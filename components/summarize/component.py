"""Declaration of the step ``summarize``."""

from kfp import dsl

from vqi.config import Summarize, defaults
from vqi_components.declare import EXECUTOR_INPUT, LIGHT_IMAGE, step

_DEFAULT = defaults(Summarize)


@dsl.container_component
def summarize(
    table: dsl.Output[dsl.Artifact],
    table_page: dsl.Output[dsl.Markdown],
    summaries: list = _DEFAULT.summaries,  # type: ignore[type-arg]
    categories: list = _DEFAULT.categories,  # type: ignore[type-arg]
):
    return step(
        "summarize",
        LIGHT_IMAGE,
        summaries=summaries,
        categories=categories,
        table=table.path,
        table_page=table_page.path,
        executor_input=EXECUTOR_INPUT,
    )
