"""Declaration of the step ``summarize``."""

from kfp import dsl

from vqi_components.declare import EXECUTOR_INPUT, LIGHT_IMAGE, step


@dsl.container_component
def summarize(summaries: list, table: dsl.Output[dsl.Artifact], table_page: dsl.Output[dsl.Markdown]):  # type: ignore[type-arg]
    return step(
        "summarize",
        LIGHT_IMAGE,
        summaries=summaries,
        table=table.path,
        table_page=table_page.path,
        executor_input=EXECUTOR_INPUT,
    )
