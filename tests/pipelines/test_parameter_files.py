"""The parameter files that come with the project fit the pipeline."""

from pathlib import Path

import pytest

from pipelines.compiled import training_ir
from pipelines.ir import read_ir
from pipelines.parameters import check_parameters, check_ranges, read_parameters
from vqi.errors import VqiError

FILES = sorted((Path(__file__).parents[2] / "pipelines" / "params").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_fits_the_pipeline(file: Path) -> None:
    parameters = check_parameters(read_ir(training_ir()), read_parameters([file], []))
    check_ranges(parameters)
    assert parameters["source"] == "elpv"


def test_finetune_is_checked_before_anything_runs() -> None:
    given = {"method": "cutpaste", "epochs": "5", "finetune": '{"variant": "4way"}'}
    parameters = check_parameters(read_ir(training_ir()), given)
    with pytest.raises(VqiError, match="finetune variant: Input should be 'normal', 'scar', 'union' or '3way'"):
        check_ranges(parameters)
