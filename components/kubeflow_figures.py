"""Figures of a category as Kubeflow's pages show them: the metadata of its artifacts for metrics.

Source: ``Metrics`` and ``ClassificationMetrics`` in kfp.dsl.
"""

from __future__ import annotations

from vqi.artifacts.files import Json
from vqi.artifacts.metrics import Metrics, Roc

CLASSES = ("good", "anomalous")  # the labels 0 and 1


def scalars(figures: Metrics) -> Json:
    """The metadata of a ``Metrics`` artifact: the figures that were measured, and their category."""
    numbers = {name: value for name, value in figures if isinstance(value, int | float)}
    return {"category": figures.category, **numbers}


def classification(figures: Metrics, roc: Roc) -> Json:
    """The metadata of a ``ClassificationMetrics`` artifact: the ROC curve, and the confusion matrix at the threshold.

    Args:
        figures: ``metrics`` of the step evaluate.
        roc: ``roc`` of the step evaluate; without points where there is one class only.

    Returns:
        With Kubeflow's names. Rows of the matrix are the true classes, columns the decisions.
    """
    curve = [
        {
            "confidenceThreshold": point.threshold,
            "recall": point.recall,
            "falsePositiveRate": point.false_alarm_rate,
        }
        for point in roc.points
    ]
    matrix = {
        "annotationSpecs": [{"displayName": name} for name in CLASSES],
        "rows": [{"row": [figures.tn, figures.fp]}, {"row": [figures.fn, figures.tp]}],
    }
    return {
        "category": figures.category,
        **({"confidenceMetrics": curve} if curve else {}),
        **({"confusionMatrix": matrix} if figures.test_images else {}),
    }
