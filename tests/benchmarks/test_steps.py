"""The benchmarks that call the steps one by one do so as they are called now; and what they compute."""

from importlib import import_module
from pathlib import Path

import pytest

from tests.benchmarks.cost import PLANT_HEADS, PLANTS, SIZES, between, plant_rows
from tests.benchmarks.measure import MB, Cost
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


def test_what_a_plant_costs_follows_from_what_was_measured() -> None:
    costs = {n: {"one": Cost(0, 0, processor=n / 100), "other": Cost(0, 0, processor=4.0)} for n in SIZES}
    stored = {n: {"kept": n * MB, "passed": 2 * n * MB} for n in SIZES}
    first, second = plant_rows(costs, stored)
    assert len(first) == len(second) == len(PLANT_HEADS)
    assert (PLANTS[0].categories, PLANTS[0].images) == (50, 2_000)
    assert first[1:] == ["0.3", "0.0 h", "0.01", "98", "195"], "24 s for each of 50"
    assert second[1] == "18.9"
    with pytest.raises(ValueError, match="20000 photographs: expected 250 to 3000, as were measured"):
        between(20_000, [1, 2, 3])
