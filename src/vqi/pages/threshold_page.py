"""The report of a version that differs from another one in its threshold alone."""

from __future__ import annotations

from vqi.artifacts.metrics import Metrics
from vqi.formatting import area_with_interval, figure, percent, short_percent
from vqi.pages.findings import operating_table
from vqi.pages.rendering import render


def threshold_page(metrics: Metrics, before: float, version: int) -> str:
    """A page with the figures at the threshold and the table of others.

    Args:
        metrics: At the threshold.
        before: ``target_fpr`` of the other version.
        version: Number of the other version, whose report has what does not depend on the threshold.
    """
    return render(
        "threshold.html.j2",
        category=metrics.category,
        other=version,
        before=short_percent(before),
        now=short_percent(metrics.target_fpr),
        figures={
            "Threshold": figure(metrics.threshold),
            "False alarms": percent(metrics.false_alarm_rate),
            "Recall": percent(metrics.recall),
            "Image AUROC": area_with_interval(metrics.image_auroc, metrics.image_auroc_low, metrics.image_auroc_high),
        },
        operating=operating_table(metrics.operating_points, metrics.target_fpr),
    )
