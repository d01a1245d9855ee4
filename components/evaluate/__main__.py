"""Runs the step ``evaluate``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from vqi.artifacts.data_report import read_data_report
from vqi.artifacts.detector import load_detector
from vqi.artifacts.features import load_features
from vqi.artifacts.files import write_json, write_text
from vqi.artifacts.images import load_images
from vqi.artifacts.metrics import write_metrics
from vqi.artifacts.training_log import read_training_log
from vqi.config import Evaluate
from vqi.evaluation import evaluate, save_scores
from vqi.pages.contents import report_of
from vqi_components import executor_output, kubeflow_figures, step


class Arguments(Evaluate):
    """Scores, anomaly maps, metrics and the report of a category."""

    images: Path = Field(description="input: folder written by preprocess")
    data_report: Path = Field(description="input: JSON file written by preprocess")
    features: Path = Field(description="input: safetensors file written by feature_extract")
    detector: Path = Field(description="input: safetensors file written by pca_fit")
    training_log: Path = Field(description="input: CSV file written by ssl_finetune")
    scores: Path = Field(description="output: folder with scores.csv and anomaly_maps.safetensors")
    metrics: Path = Field(description="output: JSON file")
    roc: Path = Field(description="output: JSON file with the points of the ROC curve")
    report: Path = Field(description="output: HTML file")
    summary: Path = Field(description="output: file that receives the category's row of the table as JSON")
    executor_input: str = Field(default="", description=step.EXECUTOR_INPUT)


def run(arguments: Arguments) -> None:
    """Load, call, save."""
    images, data = load_images(arguments.images), read_data_report(arguments.data_report)
    detector = load_detector(arguments.detector)
    settings = step.settings_of(arguments, Evaluate)
    evaluation = evaluate(images, load_features(arguments.features), detector, settings, data.leaked_test_images)
    save_scores(arguments.scores, evaluation, detector)
    write_metrics(arguments.metrics, evaluation.metrics)
    write_json(arguments.roc, evaluation.roc.model_dump(mode="json"))
    log = read_training_log(arguments.training_log)
    write_text(arguments.report, report_of(evaluation, images, detector, data, settings, log))
    write_text(arguments.summary, evaluation.metrics.summary().model_dump_json())
    executor_output.write_metadata(
        arguments.executor_input,
        {
            "metrics": kubeflow_figures.scalars(evaluation.metrics),
            "roc": kubeflow_figures.classification(evaluation.metrics, evaluation.roc),
            "report": {"category": evaluation.metrics.category},
        },
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the step; returns the exit code."""
    return step.main("evaluate", Arguments, run, argv)


if __name__ == "__main__":
    sys.exit(main())
