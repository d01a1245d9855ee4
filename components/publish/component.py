"""Declaration of the step ``publish``."""

from kfp import dsl

from vqi_components.declare import LIGHT_IMAGE, step


@dsl.container_component
def publish(
    backbone: dsl.Input[dsl.Model],
    detector: dsl.Input[dsl.Model],
    metrics: dsl.Input[dsl.Metrics],
    report: dsl.Input[dsl.HTML],
    decision: dsl.OutputPath(str),  # type: ignore[valid-type]
):
    return step(
        "publish",
        LIGHT_IMAGE,
        backbone=backbone.path,
        detector=detector.path,
        metrics=metrics.path,
        report=report.path,
        decision=decision,
    )
