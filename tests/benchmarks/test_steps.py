"""The benchmarks that call the steps one by one do so as they are called now; and what they compute."""

from importlib import import_module
from pathlib import Path

import pytest

from tests.benchmarks.cost import LARGE, SMALL, Line
from tests.benchmarks.steps import STEPS, TOLD, flags_of


@pytest.mark.parametrize("step", STEPS)
def test_every_step_gets_what_it_needs(step: str, tmp_path: Path) -> None:
    fields = import_module(f"vqi_components.{step}.__main__").Arguments.model_fields
    needed = {name for name, field in fields.items() if field.is_required()}
    for name in TOLD:
        (tmp_path / name).write_text("")
    given = {flag.partition("=")[0].removeprefix("--").replace("-", "_") for flag in flags_of(step, tmp_path)}
    assert needed <= given <= fields.keys()
    assert {name for name in needed if (fields[name].description or "").startswith("input")} <= {*STEPS[step]}


def test_a_line_through_two_sizes() -> None:
    found = Line.through(1.0 + 0.5 * SMALL, 1.0 + 0.5 * LARGE)
    assert (found.at(0), found.at(10_000)) == (pytest.approx(1.0), pytest.approx(5_001.0))
