"""One parameter file means the same to ``vqi run``, ``argo submit --parameter-file``, and both of ``vqi submit``."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pipelines.argo.flows import Fakes, argo_flow, local_flow
from vqi_pipelines.commands.submit import given_parameters
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.graph import Pipeline
from vqi_pipelines.parameters import check_parameters, read_parameters
from vqi_pipelines.submit.argo import workflow_of

PARAMS = Path(__file__).parents[3] / "pipelines" / "params"
# Each type of parameter, and the forms of YAML that readers could interpret differently.
OWN = """\
source: "folder:s3://parts"
categories: [mono, "7", größer]
accept_license: yes
limit_per_class: 12
sha256: "0000000000000000000000000000000000000000000000000000000000000000"
target_fpr: 1e-2
train_fraction: .5
method: simsiam
epochs: 3
finetune:
  lr: 1.0e-3
  hue: 0
"""


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return read_ir(training_ir().replace("- python\n        - -m\n", "- run\n"))


@pytest.fixture(params=[*sorted(path.name for path in PARAMS.glob("*.yaml")), "own"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param != "own":
        return PARAMS / request.param
    (tmp_path / "own.yaml").write_text(OWN, encoding="utf-8")
    return tmp_path / "own.yaml"


def as_argo_reads(file: Path) -> dict[str, str]:
    """How ``argo submit --parameter-file`` reads a file: texts without quotes, anything else as JSON.

    Source: ``ReadParametersFile`` in workflow/util of Argo Workflows 4.0.2.
    """
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {
        name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        for name, value in content.items()
    }


def test_the_same_steps_with_the_same_inputs(pipeline: Pipeline, file: Path) -> None:
    expected = local_flow(pipeline, check_parameters(pipeline, read_parameters([file], [])), Fakes(pipeline))
    assert len(expected[0]) >= 8
    assert argo_flow(pipeline, as_argo_reads(file), Fakes(pipeline)) == expected

    given = given_parameters([file], [])
    submitted = workflow_of("training", given)["spec"]["arguments"]["parameters"]
    assert argo_flow(pipeline, {one["name"]: one["value"] for one in submitted}, Fakes(pipeline)) == expected

    over_http: dict[str, Any] = json.loads(json.dumps(given))  # what Kubeflow gets, with the defaults that it fills in
    filled = {name: parameter.default for name, parameter in pipeline.inputs.items()} | over_http
    assert local_flow(pipeline, filled, Fakes(pipeline)) == expected
