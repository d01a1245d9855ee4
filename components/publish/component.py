"""Declaration of the step ``publish``."""

from kfp import dsl

from vqi.config import Publish, defaults
from vqi_components.declare import LIGHT_IMAGE, step

_DEFAULT = defaults(Publish)


@dsl.container_component
def publish(
    backbone: dsl.Input[dsl.Model],
    detector: dsl.Input[dsl.Model],
    metrics: dsl.Input[dsl.Metrics],
    report: dsl.Input[dsl.HTML],
    decision: dsl.OutputPath(str),  # type: ignore[valid-type]
    run: str = _DEFAULT.run,
    dataset: str = _DEFAULT.dataset,
    summary: str = _DEFAULT.summary,
):
    return step(
        "publish",
        LIGHT_IMAGE,
        backbone=backbone.path,
        detector=detector.path,
        metrics=metrics.path,
        report=report.path,
        run=run,
        dataset=dataset,
        summary=summary,
        decision=decision,
    )
