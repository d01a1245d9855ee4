"""The benchmark that calls the steps one by one does so as they are called now."""

from pathlib import Path

from tests.benchmarks.scaling import steps


def test_every_step_runs(tmp_path: Path) -> None:
    costs = steps(tmp_path, 12)
    assert list(costs) == ["preprocess", "feature_extract", "pca_fit"]
    assert all(cost.seconds > 0 and cost.peak_mb > 1 for cost in costs.values())
