"""Declaration of the step ``evaluate``."""

from kfp import dsl

from vqi.config import Evaluate, defaults
from vqi_components.declare import EXECUTOR_INPUT, LIGHT_IMAGE, step

_DEFAULT = defaults(Evaluate)


@dsl.container_component
def evaluate(
    images: dsl.Input[dsl.Dataset],
    data_report: dsl.Input[dsl.Artifact],
    features: dsl.Input[dsl.Dataset],
    detector: dsl.Input[dsl.Model],
    training_log: dsl.Input[dsl.Artifact],
    scores: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    roc: dsl.Output[dsl.ClassificationMetrics],
    report: dsl.Output[dsl.HTML],
    summary: dsl.OutputPath(str),  # type: ignore[valid-type]
    bootstrap: int = _DEFAULT.bootstrap,
    examples: int = _DEFAULT.examples,
    seed: int = _DEFAULT.seed,
):
    return step(
        "evaluate",
        LIGHT_IMAGE,
        images=images.path,
        data_report=data_report.path,
        features=features.path,
        detector=detector.path,
        training_log=training_log.path,
        bootstrap=bootstrap,
        examples=examples,
        seed=seed,
        scores=scores.path,
        metrics=metrics.path,
        roc=roc.path,
        report=report.path,
        summary=summary,
        executor_input=EXECUTOR_INPUT,
    )
