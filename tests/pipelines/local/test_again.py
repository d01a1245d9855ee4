"""``vqi step``: a step of a real run again, from the same inputs."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from kfp import dsl, kubernetes

from vqi_pipelines.commands.group import vqi
from vqi_pipelines.compiled import ir_of
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.graph import Pipeline
from vqi_pipelines.local import run_pipeline
from vqi_pipelines.local.again import held_run
from vqi_pipelines.local.folders import goes_on
from vqi_pipelines.local.progress import PlainLines
from vqi_pipelines.local.state import RunState

MAKE = """
import sys, pathlib
pathlib.Path(sys.argv[1]).mkdir()
(pathlib.Path(sys.argv[1]) / "f.txt").write_text("data")
"""
USE = """
import json, os, sys, pathlib
made, kept, count, told, needed = sys.argv[1:6]
print("token", len(os.environ.get("TOKEN", "")), "threads", os.environ["VQI_THREADS"])
if pathlib.Path(needed).exists():
    pathlib.Path(kept).write_text((pathlib.Path(made) / "f.txt").read_text())
    pathlib.Path(count).write_text("1")
    json.dump(json.loads(told)["outputs"]["outputFile"], open("told.json", "w"))
else:
    print("error: it is broken"); sys.exit(2)
"""


def python(source: str, *args: Any) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image="i", command=["python", "-c", source], args=list(args))


@dsl.container_component
def make(made: dsl.Output[dsl.Dataset]):
    return python(MAKE, made.path)


@dsl.container_component
def use(made: dsl.Input[dsl.Dataset], kept: dsl.Output[dsl.HTML], count: dsl.OutputPath(int), needed: str):
    return python(USE, made.path, kept.path, count, dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER, needed)


@dsl.pipeline(name="small")
def small(needed: str):
    used = use(made=make().outputs["made"], needed=needed)
    kubernetes.use_secret_as_env(used, "keys", {"token": "TOKEN"})


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return read_ir(ir_of(small))


class Bench:
    def __init__(self, pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOKEN", "a-secret")
        self.pipeline, self.runs, self.needed = pipeline, tmp_path / "runs", tmp_path / "needed"
        self.output = io.StringIO()

    def run(self, artifacts: str | None = None) -> RunState:
        return run_pipeline(
            self.pipeline, {"needed": str(self.needed)}, runs_dir=self.runs, parallelism=1, use_cache=True,
            artifacts=artifacts, environment={}, observer=PlainLines(self.output),
        )  # fmt: skip

    def step(self, *options: str) -> Result:
        return CliRunner().invoke(vqi, ["step", str(self.runs / "latest" / "use"), *options])


@pytest.fixture
def bench(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(pipeline, tmp_path, monkeypatch)


def test_a_failed_run_ends_with_the_command_that_runs_its_step_again(bench: Bench) -> None:
    run = bench.run()
    assert bench.output.getvalue().splitlines()[-1] == f"  vqi step {run.folder}/use"
    again = bench.step()
    assert again.exit_code == 2
    assert "error: it is broken" in again.output.splitlines()
    assert f"what it wrote: {run.folder}/use/again" in again.output
    before = json.loads((run.folder / "use" / "task.json").read_text())
    bench.needed.touch()
    assert bench.step().exit_code == 0
    scratch = run.folder / "use" / "again-2"
    assert (scratch / "outputs" / "kept.html").read_text() == "data"
    assert (scratch / "parameters" / "count").read_text() == "1"
    assert json.loads((scratch / "work" / "told.json").read_text()) == f"{scratch}/executor_output.json"
    assert "token 8 threads" in (scratch / "log.txt").read_text()
    assert not (run.folder / "use" / "kept.html").exists(), "the run is as it was"
    assert json.loads((run.folder / "use" / "task.json").read_text()) == before


def test_a_run_is_held_while_one_of_its_steps_runs_again(bench: Bench) -> None:
    run = bench.run()
    assert not goes_on(run.folder)
    for step in (run.folder / "use", bench.runs / "latest" / "use"):
        with held_run(step):
            assert goes_on(run.folder), "vqi gc leaves it alone"
            with held_run(step):
                assert goes_on(run.folder), "another step of it, too"
        assert not goes_on(run.folder)


def test_a_step_that_was_taken_from_an_earlier_run(bench: Bench) -> None:
    bench.needed.touch()
    bench.run()
    run = bench.run()
    assert run.tasks["use"].state == "cached"
    kept = run.folder / "use" / "kept.html"
    before = kept.stat()
    assert bench.step().exit_code == 0
    assert kept.stat() == before
    assert bench.run().tasks["use"].state == "cached", "what the step wrote again is not reused as a result"


def test_the_environment_is_not_kept_and_what_is_missing_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench.run()
    assert not [path for path in run.folder.rglob("*") if path.is_file() and b"a-secret" in path.read_bytes()]
    assert "a-secret" not in bench.step("--shell").output
    monkeypatch.delenv("TOKEN")
    again = bench.step()
    assert (again.exit_code, again.output) == (
        2, "error: use needs TOKEN in the environment, as in the run: set it\n",
    )  # fmt: skip


def test_the_command_for_a_shell_does_the_same(bench: Bench) -> None:
    bench.needed.touch()
    run = bench.run()
    shown = bench.step("--shell")
    scratch = run.folder / "use" / "again"
    assert not (scratch / "outputs" / "kept.html").exists(), "it is only shown"
    line = shown.output.strip()
    settings = json.loads((run.folder / "use" / "task.json").read_text())["start"]["settings"]
    assert f" VQI_THREADS={settings['VQI_THREADS']} " in line
    assert sys.executable in line
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "token 8" in done.stdout
    assert (scratch / "outputs" / "kept.html").read_text() == "data"


def test_artifacts_of_an_object_store_are_fetched(bench: Bench, tmp_path: Path) -> None:
    bench.needed.touch()
    run = bench.run(artifacts=f"file://{tmp_path / 'objects'}")
    assert bench.step().exit_code == 0
    scratch = run.folder / "use" / "again"
    assert (scratch / "inputs" / "made" / "made" / "f.txt").read_text() == "data"
    assert (scratch / "outputs" / "kept.html").read_text() == "data"
    kept = [str(path.relative_to(tmp_path / "objects" / run.run_id)) for path in (tmp_path / "objects").rglob("*.html")]
    assert [name for name in kept if ".sha256" not in name] == ["use/kept.html"], "nothing new in the store"


ENGINE = """#!/bin/sh
case "$1" in
    image) echo sha256:00 10001;;
    run) shift; while [ "$1" != i ]; do shift; done; shift 5; exec "$@";;
    container) echo false;;
esac
"""


def test_a_step_of_a_container_runs_in_one_again(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a substitute for the engine, which runs the container's command here."""
    from vqi_pipelines.local.containers import Containers

    (tmp_path / "docker").write_text(ENGINE)
    (tmp_path / "docker").chmod(0o755)
    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    bench.needed.touch()
    run = run_pipeline(
        bench.pipeline, {"needed": str(bench.needed)}, runs_dir=bench.runs, parallelism=1, use_cache=True,
        artifacts=None, environment={}, observer=PlainLines(bench.output), launcher=Containers("docker"),
    )  # fmt: skip
    assert run.state == "done", bench.output.getvalue()
    assert bench.step().exit_code == 0
    assert (run.folder / "use" / "again" / "outputs" / "kept.html").read_text() == "data"
    line = bench.step("--shell").output
    assert "docker run --rm --pull never --read-only" in line
    assert "--env TOKEN" in line
    assert "a-secret" not in line


def test_what_is_not_a_step_of_a_run(tmp_path: Path, bench: Bench) -> None:
    wrong = CliRunner().invoke(vqi, ["step", str(tmp_path)])
    assert (wrong.exit_code, wrong.output.count("\n")) == (2, 1)
    assert "expected a step's folder in a run" in wrong.output
    run = bench.run()
    (run.folder / "make" / "made" / "f.txt").unlink()
    (run.folder / "make" / "made").rmdir()
    gone = bench.step()
    assert gone.exit_code == 2
    assert f"input 'made' is no longer at {run.folder}/make/made" in gone.output
    assert not (run.folder / "use" / "again").exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda record: record.pop("input_artifacts"), "input_artifacts: Field required"),
        (lambda record: record["start"].pop("command"), "start.command: Field required"),
        (lambda record: record["start"].update(needs=3), "start.needs: Input should be a valid array, got 3"),
    ],
)
def test_a_damaged_record_is_one_line(bench: Bench, damage: Any, said: str) -> None:
    file = bench.run().folder / "use" / "task.json"
    record = json.loads(file.read_text())
    damage(record)
    file.write_text(json.dumps(record))
    again = bench.step()
    assert (again.exit_code, again.output) == (2, f"error: {file}: {said}; run the pipeline again\n")
    file.write_text(file.read_text()[:-9])
    again = bench.step()
    assert (again.exit_code, again.output.count("\n")) == (2, 1)
    assert again.output.endswith("; run the pipeline again\n")
