"""The local backend on small pipelines whose steps are real subprocesses."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl

from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.names import item_labels
from vqi_pipelines.local import run_pipeline, transfer
from vqi_pipelines.local.progress import PlainLines
from vqi_pipelines.local.run_record import Note, read_note
from vqi_pipelines.local.state import Observer, RunState, TaskState
from vqi_pipelines.local.transfer import link_tree
from vqi_pipelines.parameters import check_parameters

SOURCE = """
import sys, json, pathlib
names, folder, count, calls = sys.argv[1:5]
with open(calls, "a") as file: file.write("make\\n")
pathlib.Path(folder).mkdir()
(pathlib.Path(folder) / "f.txt").write_text("data")
json.dump([chr(97 + i) for i in range(int(count))], open(names, "w"))
"""
EACH = """
import sys, pathlib
folder, name, result, kept, calls, bad, code = sys.argv[1:8]
with open(calls, "a") as file: file.write(name + "\\n")
if name == bad:
    print("error: the part is broken"); sys.exit(int(code))
pathlib.Path(kept).write_text(name)
pathlib.Path(result).write_text(name + (pathlib.Path(folder) / "f.txt").read_text())
assert not list(pathlib.Path.cwd().iterdir()), "a step starts in an empty folder"
"""
JOIN = """
import sys, json, pathlib
results, table, calls = sys.argv[1:4]
with open(calls, "a") as file: file.write("join\\n")
pathlib.Path(table).mkdir()
(pathlib.Path(table) / "table.md").write_text(" ".join(json.loads(results)))
"""


def python(source: str, *args: Any) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image="i", command=["python", "-c", source], args=list(args))


@dsl.container_component
def make(names: dsl.OutputPath(list), folder: dsl.Output[dsl.Dataset], count: int, calls: str):
    return python(SOURCE, names, folder.path, count, calls)


@dsl.container_component
def each(
    folder: dsl.Input[dsl.Dataset], name: str, result: dsl.OutputPath(str), kept: dsl.Output[dsl.HTML], calls: str,
    bad: str, code: int,
):  # fmt: skip
    return python(EACH, folder.path, name, result, kept.path, calls, bad, code)


@dsl.container_component
def join(results: list, table: dsl.Output[dsl.Artifact], calls: str):
    return python(JOIN, results, table.path, calls)


@dsl.pipeline(name="fan")
def fan(calls: str, count: int = 3, bad: str = "", code: int = 2) -> dsl.Artifact:
    made = make(count=count, calls=calls)
    with dsl.ParallelFor(made.outputs["names"]) as name:
        one = each(folder=made.outputs["folder"], name=name, calls=calls, bad=bad, code=code).set_retry(2)
    return join(results=dsl.Collected(one.outputs["result"]), calls=calls).outputs["table"]


@dsl.pipeline(name="narrow")
def narrow(calls: str, count: int = 3):
    made = make(count=count, calls=calls)
    with dsl.ParallelFor(made.outputs["names"], parallelism=1) as name:
        each(folder=made.outputs["folder"], name=name, calls=calls, bad="", code=2)


@pytest.fixture(scope="module")
def ir(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ir") / "fan.yaml"
    compiler.Compiler().compile(fan, str(path))
    return path.read_text()


class Bench:
    """Runs the pipeline in one runs folder and reports which steps were really run."""

    def __init__(self, ir: str, tmp_path: Path) -> None:
        self.ir, self.runs, self.calls = ir, tmp_path / "runs", tmp_path / "calls"
        self.output = io.StringIO()

    def run(
        self,
        use_cache: bool = True,
        artifacts: str | None = None,
        parallelism: int = 2,
        observer: Observer | None = None,
        note: Note | None = None,
        **given: Any,
    ) -> RunState:
        self.calls.write_text("")
        pipeline = read_ir(self.ir)
        parameters = check_parameters(pipeline, {"calls": str(self.calls), **given})
        return run_pipeline(
            pipeline, parameters, runs_dir=self.runs, parallelism=parallelism, use_cache=use_cache, artifacts=artifacts,
            environment={}, observer=observer or PlainLines(self.output), note=note or Note(),
        )  # fmt: skip

    def called(self) -> list[str]:
        return sorted(self.calls.read_text().split())


@pytest.fixture
def bench(ir: str, tmp_path: Path) -> Bench:
    return Bench(ir, tmp_path)


def test_fan_out_and_fan_in(bench: Bench) -> None:
    run = bench.run()
    assert (run.state, run.exit_code) == ("done", 0)
    assert bench.called() == ["a", "b", "c", "join", "make"]
    assert [task.label for task in run.in_order()] == ["make", "a/each", "b/each", "c/each", "join"]
    assert (bench.runs / "latest").resolve() == run.folder
    assert (run.folder / "table.md").read_text() == "adata bdata cdata"  # in the order of the items
    assert (run.folder / "b" / "each" / "kept.html").read_text() == "b"
    record = json.loads((run.folder / "b" / "each" / "task.json").read_text())
    assert record["output_parameters"] == {"result": "bdata"}
    assert json.loads((run.folder / "run.json").read_text())["state"] == "done"
    assert not list(run.folder.rglob(".partial"))
    assert "b/each done" in bench.output.getvalue()


class Counting(PlainLines):
    """Notes how many steps are known when one of them changes, and whether all are."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.seen: list[tuple[str, int, bool]] = []

    def changed(self, task: TaskState) -> None:
        assert self._run is not None
        self.seen.append((task.label, len(self._run.tasks), bool(self._run.unfolded)))


def test_all_steps_of_a_loop_are_known_before_the_first_of_them_runs(tmp_path: Path) -> None:
    path, observer = tmp_path / "narrow.yaml", Counting()
    compiler.Compiler().compile(narrow, str(path))
    run = Bench(path.read_text(), tmp_path).run(parallelism=2, observer=observer)
    assert observer.seen[0] == ("make", 1, True)
    assert {seen[1:] for seen in observer.seen if seen[0] != "make"} == {(4, False)}
    assert (run.state, run.parallelism) == ("done", 2)


def test_what_a_person_says_of_a_run_is_kept_with_it(bench: Bench) -> None:
    note = Note(text="why", tags=("a",))
    assert read_note(bench.run(note=note).folder) == note
    assert read_note(bench.run().folder) == Note()


def test_a_result_that_is_removed_while_it_is_taken_is_made_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As 'vqi gc' may do it in another process."""
    first = bench.run()

    def gone(source: Path, target: Path) -> None:
        if source.name == "kept.html" and first.folder in source.parents:
            source.unlink(missing_ok=True)
        link_tree(source, target)

    monkeypatch.setattr(transfer, "link_tree", gone)
    assert bench.run().state == "done"
    assert bench.called() == ["a", "b", "c"]


def test_what_did_not_change_is_not_run_again(bench: Bench) -> None:
    bench.run()
    again = bench.run()
    assert bench.called() == []
    assert again.count("cached") == 5
    assert (again.folder / "table.md").read_text() == "adata bdata cdata"
    bench.run(count=4)  # one more item: the others are not touched
    assert bench.called() == ["d", "join", "make"]
    bench.run(use_cache=False)
    assert bench.called() == ["a", "b", "c", "join", "make"]


def test_a_lost_or_changed_output_is_made_again(bench: Bench) -> None:
    first = bench.run()
    (first.folder / "b" / "each" / "kept.html").unlink()
    bench.run()
    assert bench.called() == ["b"]
    for path in bench.runs.glob("2*/make/folder/f.txt"):
        path.write_text("other")
    bench.run()
    assert "make" in bench.called()


def test_one_failure_leaves_the_others_whole(bench: Bench) -> None:
    run = bench.run(bad="b")
    assert (run.state, run.exit_code) == ("failed", 2)
    assert bench.called() == ["a", "b", "c", "make"]  # bad input is not retried
    states = {label: task.state for label, task in run.tasks.items()}
    assert states == {"make": "done", "a/each": "done", "b/each": "failed", "c/each": "done", "join": "skipped"}
    said = bench.output.getvalue()
    assert "b/each failed: the part is broken" in said
    assert "| error: the part is broken" in said
    assert not (run.folder / "b" / "each" / "kept.html").exists()
    bench.run()  # the same command continues where it stopped; all have another parameter, so only make is cached
    assert "make" not in bench.called()


def test_other_failures_are_tried_again(bench: Bench) -> None:
    run = bench.run(bad="b", code=1)
    assert bench.called().count("b") == 3
    assert run.exit_code == 1


def test_a_step_that_writes_nothing_fails(tmp_path: Path) -> None:
    @dsl.container_component
    def idle(kept: dsl.Output[dsl.Artifact]):
        return python("pass", kept.path)

    @dsl.pipeline(name="idle")
    def pipeline():
        idle()

    path = tmp_path / "p.yaml"
    compiler.Compiler().compile(pipeline, str(path))
    run = run_pipeline(
        read_ir(path.read_text()), {}, runs_dir=tmp_path / "runs", parallelism=1, use_cache=True, artifacts=None,
        environment={}, observer=PlainLines(io.StringIO()),
    )  # fmt: skip
    assert run.tasks["idle"].message == "the step ended without writing its output artifact 'kept'"
    assert run.exit_code == 2


RENDEZVOUS = """
import sys, pathlib, time
mine, folder = sys.argv[1], pathlib.Path(sys.argv[2])
(folder / mine).touch()
end = time.monotonic() + 30
while len(list(folder.iterdir())) < 2:
    if time.monotonic() > end: sys.exit(1)
    time.sleep(0.01)
"""


def test_independent_steps_run_side_by_side(tmp_path: Path) -> None:
    @dsl.container_component
    def meet(name: str, folder: str):
        return python(RENDEZVOUS, name, folder)

    @dsl.pipeline(name="meet")
    def pipeline(folder: str):
        with dsl.ParallelFor(["x", "y"]) as name:
            meet(name=name, folder=folder)

    path = tmp_path / "p.yaml"
    compiler.Compiler().compile(pipeline, str(path))
    (tmp_path / "met").mkdir()
    run = run_pipeline(
        read_ir(path.read_text()), {"folder": str(tmp_path / "met")}, runs_dir=tmp_path / "runs", parallelism=2,
        use_cache=True, artifacts=None, environment={}, observer=PlainLines(io.StringIO()),
    )  # fmt: skip
    assert run.state == "done"  # each waited for the other


def test_artifacts_through_an_object_store(bench: Bench, tmp_path: Path) -> None:
    uri = f"file://{tmp_path / 'objects'}"
    run = bench.run(artifacts=uri)
    assert run.state == "done"
    assert (run.folder / "table.md").read_text() == "adata bdata cdata"
    assert not (run.folder / "make" / "folder").exists()
    assert (tmp_path / "objects" / run.run_id / "make" / "folder" / "f.txt").read_text() == "data"
    again = bench.run(artifacts=uri)
    assert bench.called() == []
    assert again.count("cached") == 5
    (tmp_path / "objects" / run.run_id / "make" / "folder" / "f.txt").unlink()
    bench.run(artifacts=uri)
    assert bench.called() == ["make"]


RUNNER = """
import sys
from pathlib import Path
from vqi_pipelines.ir import read_ir
from vqi_pipelines.local import run_pipeline
from vqi_pipelines.local.progress import PlainLines
pipeline = read_ir(Path(sys.argv[1]).read_text())
parameters = {"folder": sys.argv[3]}
run = run_pipeline(pipeline, parameters, runs_dir=Path(sys.argv[2]), parallelism=1, use_cache=True,
    artifacts=None, environment={}, observer=PlainLines(sys.stdout))
sys.exit(run.exit_code)
"""
FIRST = """
import sys, pathlib
with open(pathlib.Path(sys.argv[1]) / "calls", "a") as file: file.write("first ")
pathlib.Path(sys.argv[2]).write_text("x")
"""
HOLD = """
import sys, os, pathlib, time
folder, kept = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
kept.write_text("half")
(folder / "pid").write_text(str(os.getpid()))
end = time.monotonic() + 60
while not (folder / "go").exists():
    if time.monotonic() > end: sys.exit(1)
    time.sleep(0.01)
kept.write_text("whole")
"""


@pytest.fixture
def held(tmp_path: Path) -> tuple[list[str], Path]:
    """A command that runs two steps, of which the second waits for a file."""

    @dsl.container_component
    def first(folder: str, made: dsl.Output[dsl.Artifact]):
        return python(FIRST, folder, made.path)

    @dsl.container_component
    def hold(made: dsl.Input[dsl.Artifact], folder: str, kept: dsl.Output[dsl.Artifact]):
        return python(HOLD, made.path, folder, kept.path)

    @dsl.pipeline(name="held")
    def pipeline(folder: str):
        hold(made=first(folder=folder).outputs["made"], folder=folder)

    path = tmp_path / "p.yaml"
    compiler.Compiler().compile(pipeline, str(path))
    folder = tmp_path / "signals"
    folder.mkdir()
    return [sys.executable, "-c", RUNNER, str(path), str(tmp_path / "runs"), str(folder)], folder


def wait_for_pid(folder: Path) -> int:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        path = folder / "pid"
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.02)
    raise AssertionError("the step did not start")


def ended(pid: int) -> bool:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        status = Path(f"/proc/{pid}/status")
        if not status.exists() or "State:\tZ" in status.read_text():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_and_started_again(held: tuple[list[str], Path], tmp_path: Path, number: signal.Signals) -> None:
    command, folder = held
    with subprocess.Popen(command, stdout=subprocess.PIPE) as runner:
        pid = wait_for_pid(folder)
        os.kill(runner.pid, number)
        output = runner.communicate()[0].decode()
    assert ended(pid), "the step still runs after its runner"
    assert runner.returncode == (-number if number == signal.SIGKILL else 130)
    if number != signal.SIGKILL:
        assert "hold stopped" in output
        assert "continues where this run stopped" in output
    assert not (tmp_path / "runs" / "latest" / "hold" / "kept").exists()  # nothing incomplete under its final name
    (folder / "go").touch()
    subprocess.run(command, check=True, stdout=subprocess.PIPE)
    assert (folder / "calls").read_text() == "first "  # not run again
    assert (tmp_path / "runs" / "latest" / "hold" / "kept").read_text() == "whole"


def test_item_labels_are_folder_names_of_their_own() -> None:
    assert item_labels(["mono", "poly"]) == ["mono", "poly"]
    assert item_labels(["../x", "a/b", "", ".", "a", "a"]) == [f"item-{i}" for i in range(6)]
    assert item_labels([1, {"a": 1}, "Größe 2"]) == ["1", "item-1", "Größe 2"]


def test_an_unwritable_runs_folder(ir: str, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    from vqi.errors import VqiError

    with pytest.raises(VqiError, match=r"the run cannot be written: .*choose another folder \(--runs-dir\)"):
        Bench(ir, tmp_path).run()
