"""Declaration of the step ``summarize``."""

from kfp import dsl

from vqi.config import Summarize, defaults
from vqi_components.declare import EXECUTOR_INPUT, LIGHT_IMAGE, step

_DEFAULT = defaults(Summarize)


@dsl.container_component
def summarize(
    run: str,
    table: dsl.Output[dsl.Artifact],
    table_page: dsl.Output[dsl.Markdown],
    decisions: dsl.OutputPath(str),  # type: ignore[valid-type]
    dataset: str = _DEFAULT.dataset,
):
    return step(
        "summarize",
        LIGHT_IMAGE,
        run=run,
        dataset=dataset,
        table=table.path,
        table_page=table_page.path,
        decisions=decisions,
        executor_input=EXECUTOR_INPUT,
    )
