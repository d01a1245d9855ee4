"""Declaration of the step ``publish``."""

from kfp import dsl

from vqi.config import Publish, defaults
from vqi_components.declare import EXECUTOR_INPUT, TORCH_IMAGE, step

_DEFAULT = defaults(Publish)


@dsl.container_component
def publish(
    backbone: dsl.Input[dsl.Model],
    detector: dsl.Input[dsl.Model],
    metrics: dsl.Input[dsl.Metrics],
    report: dsl.Input[dsl.HTML],
    decision: dsl.OutputPath(str),  # type: ignore[valid-type]
    decided_report: dsl.Output[dsl.HTML],
    decided_report_folder: dsl.Output[dsl.Artifact],
    gate_metrics: dsl.Output[dsl.Metrics],
    gate: str = _DEFAULT.gate,
    max_regression: float = _DEFAULT.max_regression,
    min_auroc: float = _DEFAULT.min_auroc,
    max_megabytes: float = _DEFAULT.max_megabytes,
    max_milliseconds: float = _DEFAULT.max_milliseconds,
    recipe: str = _DEFAULT.recipe,
    run: str = _DEFAULT.run,
    dataset: str = _DEFAULT.dataset,
    summary: str = _DEFAULT.summary,
):
    return step(
        "publish",
        TORCH_IMAGE,  # for models that are scored or timed here
        backbone=backbone.path,
        detector=detector.path,
        metrics=metrics.path,
        report=report.path,
        gate=gate,
        max_regression=max_regression,
        min_auroc=min_auroc,
        max_megabytes=max_megabytes,
        max_milliseconds=max_milliseconds,
        recipe=recipe,
        run=run,
        dataset=dataset,
        summary=summary,
        decision=decision,
        decided_report=decided_report.path,
        decided_report_folder=decided_report_folder.path,
        gate_metrics=gate_metrics.path,
        executor_input=EXECUTOR_INPUT,
    )
