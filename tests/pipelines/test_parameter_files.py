"""The parameter files that come with the project fit the pipeline."""

from pathlib import Path

import pytest

from vqi.errors import VqiError
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.parameters import absolute_paths, check_parameters, check_ranges, read_parameters

FILES = sorted((Path(__file__).parents[2] / "pipelines" / "params").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_fits_the_pipeline(file: Path) -> None:
    parameters = check_parameters(read_ir(training_ir()), read_parameters([file], []))
    check_ranges(parameters)
    assert parameters["source"] == ("folder:/data" if file.stem == "dataset_dir" else "elpv")


def test_finetune_is_checked_before_anything_runs() -> None:
    given = {"method": "cutpaste", "epochs": "5", "finetune": '{"variant": "4way"}'}
    parameters = check_parameters(read_ir(training_ir()), given)
    with pytest.raises(VqiError, match="finetune variant: Input should be 'normal', 'scar', 'union' or '3way'"):
        check_ranges(parameters)


def test_local_paths_become_absolute_and_nothing_else_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    digest = f"#sha256={'0' * 64}"
    given = {
        "source": "folder:parts",
        "weights": f"w.pth{digest}",
        "method": "simsiam",
        "epochs": "1",
        "finetune": f'{{"initial_checkpoint": "c.pth.tar{digest}", "lr": 0.1}}',
    }
    parameters = check_parameters(read_ir(training_ir()), given)
    values = absolute_paths(parameters)
    assert values["source"] == f"folder:{tmp_path}/parts"
    assert values["weights"] == f"{tmp_path}/w.pth{digest}"
    assert values["finetune"] == {"initial_checkpoint": f"{tmp_path}/c.pth.tar{digest}", "lr": 0.1}
    assert parameters["finetune"]["initial_checkpoint"] == f"c.pth.tar{digest}", "the argument is not changed"
    remote = {**parameters, "source": "folder:s3://b/p", "weights": "pretrained", "finetune": {}}
    assert absolute_paths(remote) == remote
