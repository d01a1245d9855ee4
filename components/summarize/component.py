"""Declaration of the step ``summarize``."""

from kfp import dsl

from components.declare import LIGHT_IMAGE, step


@dsl.container_component
def summarize(summaries: list, table: dsl.Output[dsl.Artifact]):  # type: ignore[type-arg]
    return step("summarize", LIGHT_IMAGE, summaries=summaries, table=table.path)
