"""``vqi run`` and the places that it is given: what cannot be a store is refused before anything starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from vqi.errors import VqiError
from vqi.store import opening
from vqi_pipelines.commands.group import vqi
from vqi_pipelines.commands.submit import given_parameters

WITH_KEY = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "planted"}
SERVER = {"VQI_S3_ENDPOINT": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"VQI_S3_ENDPOINT": " http://127.0.0.1:9 "}, r"VQI_S3_ENDPOINT is ' http://127\.0\.0\.1:9 ': expected http"),
        (
            {"VQI_S3_ENDPOINT": "http://u:planted@h"},
            r"VQI_S3_ENDPOINT is 'http://\*\*\*@h': expected .*, without a login",
        ),
        ({**SERVER, "AWS_DEFAULT_REGION": "a b"}, r"AWS_DEFAULT_REGION is 'a b': expected a region"),
        ({**SERVER, "AWS_SECRET_ACCESS_KEY": "planted\n"}, r"AWS_SECRET_ACCESS_KEY has a blank, a line break"),
        ({**SERVER, "AWS_CA_BUNDLE": "/none.pem"}, r"AWS_CA_BUNDLE is '/none\.pem', which is not a file"),
    ],
)
@pytest.mark.parametrize(
    "places",
    [["--store", "s3://bucket/x"], ["--artifacts", "s3://bucket"], ["-p", "source=bucket:s3://bucket/x"]],
    ids=["store", "artifacts", "source"],
)
def test_a_variable_that_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: list[str], told: dict[str, str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*opening.VARIABLES, *opening.PLACES, *opening.IDENTITY):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**WITH_KEY, **told}.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(vqi, ["run", *places])
    assert done.exit_code == 2
    assert done.output.startswith("error: ")
    assert done.output.count("\n") == 1
    assert "planted" not in done.output
    assert re.search(expected, done.output)
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    done = CliRunner().invoke(vqi, ["run", "--store", "file"])
    assert done.exit_code == 2
    assert "is a file: name a folder" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


COMPILED = Path(__file__).parents[2] / "manifests" / "local" / "training.yaml"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("categories=[mono]", """parameter 'categories': expected a list, such as '["a", "b"]' or a,b, got '[mono]'"""),
        ('categories="mono"', """unknown category '"mono"': did you mean 'mono'?; write categories='["mono"]'"""),
        ("categories=mono,pol", """unknown category 'pol': did you mean 'poly'?; write categories='["poly"]'"""),
        ("backbone=resnet5", "unknown backbone 'resnet5': did you mean 'resnet50'?"),
        ("layer=blocks.40", "unknown layer 'blocks.40': did you mean 'blocks.4.0'?"),
        (
            "backbone=resnet18",
            "the default layers are those of tf_efficientnet_lite0, and resnet18 has other ones: say which to take, such as "
            "layer=layer3 ('vqi layers resnet18' lists them)",
        ),
        ("source=folder:gone", "there is no folder 'gone': expected the folder of your photographs"),
        ("source=folder:parts", "category 'w' has too few good images to train on: expected at least 3, got 1"),
        ("source=mvtec-ad", "'mvtec-ad' is under CC BY-NC-SA 4.0"),
    ],
)
def test_what_the_first_steps_would_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VQI_COMPILED_PIPELINE", str(COMPILED))
    monkeypatch.delenv("USER_CONSENT", raising=False)
    (tmp_path / "parts/w/train/good").mkdir(parents=True)
    (tmp_path / "parts/w/train/good/1.png").touch()
    done = CliRunner().invoke(vqi, ["run", "-p", given])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: {said}")
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]


def test_a_cluster_is_not_asked_for_folders_of_this_machine() -> None:
    assert given_parameters([], ["source=folder:/gone"]) == {"source": "folder:/gone"}
    with pytest.raises(VqiError, match="unknown backbone 'resnet5'"):
        given_parameters([], ["backbone=resnet5"])
