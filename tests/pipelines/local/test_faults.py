"""The local backend: the shape of the training pipeline, and what goes wrong in a run."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kfp import compiler, dsl

from vqi.errors import VqiError
from vqi_pipelines import sources
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.graph import Pipeline, Retry
from vqi_pipelines.ir.names import item_labels
from vqi_pipelines.local import cache, run_pipeline
from vqi_pipelines.local.progress import PlainLines
from vqi_pipelines.local.state import RunState
from vqi_pipelines.local.steps import backoff
from vqi_pipelines.parameters import check_parameters


def read(pipeline: Any) -> Pipeline:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.yaml"
        compiler.Compiler().compile(pipeline, str(path))
        return read_ir(path.read_text())


def run(
    pipeline: Pipeline, base: Path, *, artifacts: str | None = None, parallelism: int = 2,
    environment: Mapping[str, str] | None = None, **given: Any,
) -> RunState:  # fmt: skip
    return run_pipeline(
        pipeline, check_parameters(pipeline, given), runs_dir=base / "runs", parallelism=parallelism, use_cache=True,
        artifacts=artifacts, environment=environment or {}, observer=PlainLines(io.StringIO()),
    )  # fmt: skip


def states(done: RunState) -> dict[str, str]:
    return {label: task.state for label, task in done.tasks.items()}


def shell(script: str, *args: Any) -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image="i", command=["sh", "-euc", script, "step"], args=list(args))


def record(done: RunState, label: str) -> dict[str, Any]:
    return json.loads((done.folder / label / "task.json").read_text())


# -------------------------------------------------------------------------------------- the shape of the real pipeline


@dsl.container_component
def dataset_download(source: str, dataset: dsl.OutputPath(str), categories: dsl.OutputPath(list)):
    return shell(
        'test "$1" != none; printf %s "$1@1" > "$2"; printf \'["mono", "poly"]\' > "$3"', source, dataset, categories
    )


@dsl.container_component
def preprocess(dataset: str, category: str, image_size: int, images: dsl.Output[dsl.Dataset]):
    return shell('mkdir "$4"; echo "$1 $2 $3" > "$4/index.csv"', dataset, category, image_size, images.path)


@dsl.container_component
def pca_fit(images: dsl.Input[dsl.Dataset], bad: str, detector: dsl.Output[dsl.Model]):
    return shell(
        'read -r _ category _ < "$1/index.csv"; test "$2" != all -a "$category" != "$2" || exit 2; cp "$1/index.csv" "$3"',
        images.path,
        bad,
        detector.path,
    )


@dsl.container_component
def evaluate(
    images: dsl.Input[dsl.Dataset], detector: dsl.Input[dsl.Model], seed: int, report: dsl.Output[dsl.HTML],
    summary: dsl.OutputPath(dict),
):  # fmt: skip
    return shell(
        'cmp "$1/index.csv" "$2"; cp "$2" "$4"; printf \'{"seed": %s, "of": "%s"}\' "$3" "$(cat "$2")" > "$5"',
        images.path,
        detector.path,
        seed,
        report.path,
        summary,
    )


@dsl.container_component
def summarize(table: dsl.Output[dsl.Artifact], summaries: list = []):  # noqa: B006 - as kfp wants it
    return shell('mkdir "$2"; printf %s "$1" > "$2/table.md"; echo > "$2/table.csv"', summaries, table.path)


@dsl.pipeline(name="shape")
def shape(source: str = "elpv", image_size: int = 96, seed: int = 7, bad: str = "") -> dsl.Artifact:
    download = dataset_download(source=source)
    download.set_caching_options(False)
    with dsl.ParallelFor(download.outputs["categories"], name="category") as category:
        images = preprocess(dataset=download.outputs["dataset"], category=category, image_size=image_size)
        fitted = pca_fit(images=images.outputs["images"], bad=bad)
        evaluated = evaluate(images=images.outputs["images"], detector=fitted.outputs["detector"], seed=seed)
    table = summarize(summaries=dsl.Collected(evaluated.outputs["summary"])).ignore_upstream_failure()
    return table.outputs["table"]


@pytest.fixture(scope="module")
def training_shape() -> Pipeline:
    return read(shape)


def test_root_parameters_reach_into_the_loop_and_summaries_come_back(training_shape: Pipeline, tmp_path: Path) -> None:
    done = run(training_shape, tmp_path)
    assert done.exit_code == 0
    assert json.loads((done.folder / "table.md").read_text()) == [
        {"seed": 7, "of": "elpv@1 mono 96"},
        {"seed": 7, "of": "elpv@1 poly 96"},
    ]
    assert (done.folder / "table.csv").is_file()
    assert (done.folder / "poly" / "evaluate" / "report.html").read_text() == "elpv@1 poly 96\n"
    again = run(training_shape, tmp_path, seed=8)
    assert states(again)["mono/pca-fit"] == "cached"  # it does not read the seed
    assert states(again)["mono/evaluate"] == "done"
    assert states(again)["dataset-download"] == "done"  # its caching is off
    assert again.run_id != done.run_id


# ------------------------------------------------------------------------------------------ a fan-in outside of the run


@dsl.container_component
def leave(category: str, run: str, place: str, bad: str):
    return shell(
        'test "$4" != all -a "$1" != "$4" || exit 2; mkdir -p "$3/$2"; touch "$3/$2/$1"', category, run, place, bad
    )


@dsl.container_component
def gather(run: str, place: str, found: dsl.OutputPath(str), dataset: str = ""):
    return shell(
        'mkdir -p "$2/$1"; ls "$2/$1" | tr "\\n" " " > "$3"; printf %s "$4" >> "$3"', run, place, found, dataset
    )


@dsl.pipeline(name="outside")
def outside(place: str, source: str = "elpv", bad: str = ""):
    run = dsl.PIPELINE_JOB_ID_PLACEHOLDER
    download = dataset_download(source=source)
    with dsl.ParallelFor(download.outputs["categories"], name="category") as category:
        left = leave(category=category, run=run, place=place, bad=bad)
        left.set_caching_options(False)
    last = gather(run=run, place=place, dataset=download.outputs["dataset"]).after(left).ignore_upstream_failure()
    last.set_caching_options(False)


@pytest.mark.parametrize(
    ("bad", "found"), [("", "mono poly elpv@1"), ("mono", "poly elpv@1"), ("all", "elpv@1")], ids=str
)
def test_the_last_step_finds_what_those_left_that_did_not_fail(tmp_path: Path, bad: str, found: str) -> None:
    done = run(read(outside), tmp_path, place=str(tmp_path / "store"), bad=bad)
    assert (done.exit_code == 0) == (bad == "")
    assert states(done)["gather"] == "done"
    assert record(done, "gather")["output_parameters"]["found"] == found
    assert [path.name for path in (tmp_path / "store").iterdir()] == [done.uid]


def test_the_last_step_needs_what_it_takes(tmp_path: Path) -> None:
    done = run(read(outside), tmp_path, place=str(tmp_path / "store"), source="none")
    assert states(done) == {"dataset-download": "failed", "gather": "skipped"}


def test_two_runs_of_one_name_have_their_own_id(tmp_path: Path) -> None:
    """Those of two folders may begin in the same second."""
    first, second = (RunState("20260101-000000-x", tmp_path, "x", {}, PlainLines(io.StringIO())) for _ in range(2))
    assert first.run_id == second.run_id
    assert first.uid != second.uid
    assert first.uid.startswith(first.run_id)


def test_what_failed_before_the_loop(training_shape: Pipeline, tmp_path: Path) -> None:
    done = run(training_shape, tmp_path, source="none")
    assert states(done) == {"dataset-download": "failed", "summarize": "skipped"}
    assert done.exit_code == 1
    assert record(done, "dataset-download")["state"] == "failed"


def test_what_failed_in_one_category(training_shape: Pipeline, tmp_path: Path) -> None:
    done = run(training_shape, tmp_path, bad="mono")
    found = states(done)
    assert (found["mono/pca-fit"], found["mono/evaluate"]) == ("failed", "skipped")
    assert (found["poly/evaluate"], found["summarize"]) == ("done", "done")
    assert record(done, "mono/pca-fit")["exit_code"] == 2
    assert json.loads((done.folder / "table.md").read_text()) == [{"seed": 7, "of": "elpv@1 poly 96"}]
    assert (done.state, done.exit_code) == ("failed", 2)


def test_what_failed_in_every_category(training_shape: Pipeline, tmp_path: Path) -> None:
    done = run(training_shape, tmp_path, bad="all")
    assert states(done)["summarize"] == "skipped"
    assert done.exit_code == 2


def test_what_is_written_down(training_shape: Pipeline, tmp_path: Path) -> None:
    first, second = run(training_shape, tmp_path), run(training_shape, tmp_path)
    one, two = record(first, "mono/preprocess"), record(second, "mono/preprocess")
    assert (one["state"], one["cached"], one["exit_code"]) == ("done", False, 0)
    assert (two["state"], two["cached"]) == ("cached", True)
    assert one["parameters"] == {"dataset": "elpv@1", "category": "mono", "image_size": 96}
    assert one["output_artifacts"] == two["output_artifacts"]
    assert one["started_at"].endswith("+00:00")


# --------------------------------------------------------------------------------------------------------------- cache


def test_deleting_the_earlier_run_loses_nothing(training_shape: Pipeline, tmp_path: Path) -> None:
    first = run(training_shape, tmp_path)
    run(training_shape, tmp_path)
    shutil.rmtree(first.folder)
    assert states(run(training_shape, tmp_path))["mono/evaluate"] == "cached"


def test_changed_code_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "src" / "steppackage"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "words.py").write_text("WORD = 'one'\n")
    (package / "__main__.py").write_text(
        "import sys, pathlib\nfrom steppackage import words\npathlib.Path(sys.argv[1]).write_text(words.WORD)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    monkeypatch.setattr(sources, "OWN_PACKAGES", ("steppackage",))

    @dsl.container_component
    def speak(out: dsl.OutputPath(str)):
        return dsl.ContainerSpec(image="i", command=["python", "-m", "steppackage"], args=[out])

    @dsl.pipeline(name="speaks")
    def speaks():
        speak()

    pipeline, environment = read(speaks), {"PYTHONPATH": str(tmp_path / "src"), "PYTHONDONTWRITEBYTECODE": "1"}

    def spoken() -> tuple[str, str]:
        cache.code_digest.cache_clear()  # each run of the command is a process of its own
        done = run(pipeline, tmp_path, environment=environment)
        return states(done)["speak"], record(done, "speak")["output_parameters"]["out"]

    assert [spoken(), spoken()] == [("done", "one"), ("cached", "one")]
    (package / "words.py").write_text("WORD = 'two'\n")
    assert spoken() == ("done", "two")
    (package / "unused.py").write_text("WORD = 'three'\n")
    assert spoken() == ("cached", "two")


def test_the_steps_environment_counts(tmp_path: Path) -> None:
    @dsl.container_component
    def tell(out: dsl.OutputPath(str)):
        return shell('printf %s "$WORD" > "$1"', out)

    def pipeline(word: str) -> Pipeline:
        @dsl.pipeline(name="tells")
        def tells():
            tell().set_env_variable("WORD", word)

        return read(tells)

    for word, state in (("a", "done"), ("a", "cached"), ("b", "done")):
        done = run(pipeline(word), tmp_path)
        assert states(done) == {"tell": state}
        assert record(done, "tell")["output_parameters"] == {"out": word}


# ----------------------------------------------------------------------------------------------------- values, nesting


@dsl.container_component
def say(word: str, out: dsl.OutputPath(str), n: int = 1):
    return shell('printf %s "$1-$2" > "$3"', word, n, out)


def test_constants_f_strings_and_nested_pipelines(tmp_path: Path) -> None:
    @dsl.pipeline(name="inner")
    def inner(n: int) -> str:
        return say(word="in", n=n).outputs["out"]

    @dsl.pipeline(name="outer")
    def outer(who: str = "you"):
        first = inner(n=2)
        inner(n=3)
        say(word=f"{who}+{first.output}", n=5)
        with dsl.ParallelFor([1, 2]) as item:
            say(word=f"item{item}", n=item)

    done = run(read(outer), tmp_path)
    assert done.exit_code == 0
    said = {label: record(done, label)["output_parameters"]["out"] for label in done.tasks}
    assert said == {
        "inner/say": "in-2", "inner-2/say": "in-3", "say": "you+in-2-5", "1/say-2": "item1-1", "2/say-2": "item2-2",
    }  # fmt: skip


def test_executor_input_is_real_paths(tmp_path: Path) -> None:
    source = """
import json, sys
told = json.loads(sys.argv[1])
assert told["inputs"]["parameterValues"] == {"n": 5}, told
(page,) = told["outputs"]["artifacts"]["page"]["artifacts"]
assert page["type"]["schemaTitle"] == "system.HTML"
open(page["uri"], "w").write("<p>")
open(told["outputs"]["parameters"]["out"]["outputFile"], "w").write("said")
page["metadata"] = {"figure": 1}
open(told["outputs"]["outputFile"], "w").write(json.dumps({"artifacts": {"page": {"artifacts": [page]}}}))
"""

    @dsl.container_component
    def whole(n: int, page: dsl.Output[dsl.HTML], out: dsl.OutputPath(str)):
        return dsl.ContainerSpec(image="i", command=["python", "-c", source], args=["{{$}}"])

    @dsl.pipeline(name="wholes")
    def wholes():
        whole(n=5)

    done = run(read(wholes), tmp_path)
    assert done.exit_code == 0, done.tasks["whole"].message
    assert (done.folder / "whole" / "page.html").read_text() == "<p>"
    assert record(done, "whole")["output_parameters"] == {"out": "said"}
    assert not list(done.folder.rglob("executor_output.json"))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (':', "without writing its output parameter 'out'"),
        ('printf x > "$1"', "output parameter 'out': expected a whole number as JSON, got 'x'"),
        ('printf 1.5 > "$1"', "output parameter 'out': expected a whole number, got 1.5"),
        ("printf '\\377' > \"$1\"", "output parameter 'out': expected UTF-8 text"),
        ("echo 'error: it is broken' >&2; exit 2", "it is broken"),
        ("kill -9 $$", "ended by signal SIGKILL"),
        ("exit 7", "exit code 7"),
    ],
)  # fmt: skip
def test_what_a_step_can_do_wrong(tmp_path: Path, script: str, message: str) -> None:
    @dsl.container_component
    def wrong(out: dsl.OutputPath(int)):
        return shell(script, out)

    @dsl.pipeline(name="wrongs")
    def wrongs():
        wrong()

    done = run(read(wrongs), tmp_path)
    assert message in done.tasks["wrong"].message
    assert done.exit_code in (1, 2)
    assert record(done, "wrong")["message"] == done.tasks["wrong"].message
    assert not list((tmp_path / "runs" / ".cache").glob("*"))


def test_what_this_machine_refuses_fails_the_step_only(tmp_path: Path) -> None:
    @dsl.container_component
    def tell(word: str):
        return shell("true", word)

    @dsl.pipeline(name="tells")
    def tells(word: str):
        tell(word=word)
        say(word="other")

    done = run(read(tells), tmp_path, word="x" * 200_000)  # Linux: an argument has at most 128 KiB
    assert states(done) == {"tell": "failed", "say": "done"}
    assert "Argument list too long" in done.tasks["tell"].message
    assert json.loads((done.folder / "run.json").read_text())["state"] == "failed"


def test_a_value_that_does_not_fit_fails_the_task_only(tmp_path: Path) -> None:
    @dsl.container_component
    def letters(out: dsl.OutputPath(list)):
        return shell('printf \'["x"]\' > "$1"', out)

    @dsl.container_component
    def count(n: int):
        return shell("true", n)

    @dsl.pipeline(name="counts")
    def counts():
        with dsl.ParallelFor(letters().output) as item:
            count(n=item)
        say(word="other")

    done = run(read(counts), tmp_path)
    assert states(done) == {"letters": "done", "x/count": "failed", "say": "done"}
    assert done.tasks["x/count"].message == "parameter 'n': expected a whole number, got 'x'"


# ------------------------------------------------------------------------------------------------- folders and outputs


def test_folders_of_items_never_meet_others() -> None:
    assert item_labels(["x/y", "item-0"]) == ["item-0", "item-1"]
    assert item_labels([1, "1", True]) == ["item-0", "item-1", "true"]
    assert item_labels(["summarize", "run.json", "TABLE.MD", "v1.2"], {"summarize"}) == [
        "item-0",
        "item-1",
        "item-2",
        "v1.2",
    ]
    assert item_labels(["ü" * 101, "..", "\n", "a\n", "-x"]) == [f"item-{place}" for place in range(5)]


def test_an_item_named_as_a_task(tmp_path: Path) -> None:
    @dsl.pipeline(name="names")
    def names():
        with dsl.ParallelFor(["say", "../up", "x"]) as item:
            say(word=item)
        say(word="top")

    done = run(read(names), tmp_path)
    assert sorted(done.tasks) == ["item-0/say", "item-1/say", "say-2", "x/say"]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


class Two(NamedTuple):
    a: dsl.Artifact
    b: dsl.Artifact


@dsl.pipeline(name="twice")
def twice() -> Two:
    first, second = summarize(summaries=["1"]), summarize(summaries=["2"])
    return Two(a=first.outputs["table"], b=second.outputs["table"])


def test_two_outputs_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VqiError, match=r"output 'b' of the pipeline: 'table\.csv' is already in"):
        run(read(twice), tmp_path)
    latest = tmp_path / "runs" / "latest"
    assert json.loads((latest / "run.json").read_text())["state"] == "failed"
    assert (latest / "summarize" / "table" / "table.md").read_text() == '["1"]'  # not written through a link


def test_an_empty_folder_passes_through_an_object_store(tmp_path: Path) -> None:
    @dsl.container_component
    def none(made: dsl.Output[dsl.Dataset]):
        return shell('mkdir "$1"', made.path)

    @dsl.container_component
    def look(made: dsl.Input[dsl.Dataset], out: dsl.OutputPath(str)):
        return shell('test -d "$1"; ls "$1" | wc -l > "$2"', made.path, out)

    @dsl.pipeline(name="empty")
    def empty():
        look(made=none().outputs["made"])

    pipeline, uri = read(empty), f"file://{tmp_path / 'objects'}"
    assert states(run(pipeline, tmp_path, artifacts=uri)) == {"none": "done", "look": "done"}
    assert states(run(pipeline, tmp_path, artifacts=uri)) == {"none": "cached", "look": "cached"}


# ------------------------------------------------------------------------------------------------------------ schedule

ALONE = """
import sys, time, pathlib
folder, mine, meets, out = pathlib.Path(sys.argv[1]), sys.argv[2], bool(int(sys.argv[3])), sys.argv[4]
(folder / mine).touch()
end, most = time.monotonic() + (300 if meets else 0.7), 1
while time.monotonic() < end and most == 1:
    most = len(list(folder.iterdir()))
    time.sleep(0.01)
if not meets:  # one that is to meet another leaves its file for it
    (folder / mine).unlink()
pathlib.Path(out).write_text(str(most))
"""


@pytest.mark.parametrize(("limit", "met"), [(1, False), (2, True)])
def test_the_limit_of_a_loop(tmp_path: Path, limit: int, met: bool) -> None:
    @dsl.container_component
    def look(folder: str, mine: str, meets: int, most: dsl.OutputPath(int)):
        return dsl.ContainerSpec(image="i", command=["python", "-c", ALONE], args=[folder, mine, meets, most])

    @dsl.pipeline(name="looks")
    def looks(folder: str):
        with dsl.ParallelFor(["a", "b"], parallelism=limit) as item:
            look(folder=folder, mine=item, meets=int(met))

    (tmp_path / "here").mkdir()
    done = run(read(looks), tmp_path, parallelism=3, folder=str(tmp_path / "here"))
    seen = {record(done, f"{item}/look")["output_parameters"]["most"] for item in "ab"}
    assert seen == ({2} if met else {1})


def test_steps_are_told_their_share_of_the_cores(tmp_path: Path) -> None:
    @dsl.container_component
    def share(out: dsl.OutputPath(str)):
        return shell('printf %s "$VQI_THREADS" > "$1"', out)

    @dsl.pipeline(name="shares")
    def shares():
        share()

    done = run(read(shares), tmp_path, parallelism=1000)
    assert record(done, "share")["output_parameters"] == {"out": "1"}


def test_backoff_grows_up_to_its_limit() -> None:
    retry = Retry(5, backoff_seconds=2, backoff_factor=3, backoff_max_seconds=10)
    assert [backoff(retry, number) for number in (1, 2, 3)] == [2, 6, 10]


# ---------------------------------------------------------------------------------------------------------------- stop

RUNNER = """
import sys
from pathlib import Path
from vqi_pipelines.local import launch
from vqi_pipelines import sources
from vqi_pipelines.ir import read_ir
from vqi_pipelines.local import run_pipeline
from vqi_pipelines.local.progress import PlainLines
launch.GRACE_SECONDS = float(sys.argv[4])
pipeline = read_ir(Path(sys.argv[1]).read_text())
run = run_pipeline(pipeline, {"folder": sys.argv[3]}, runs_dir=Path(sys.argv[2]), parallelism=1, use_cache=True,
    artifacts=None, environment={}, observer=PlainLines(sys.stdout))
sys.exit(run.exit_code)
"""
STUBBORN = """
import os, pathlib, signal, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # inherited by the child
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
signal.signal(signal.SIGTERM, lambda *_: (folder / "asked").touch())
(folder / "partial").write_text(f"{os.getpid()} {child.pid}")
(folder / "partial").rename(folder / "pids")
time.sleep(300)
"""

LEAVING = """
import os, pathlib, signal, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # inherited by the child, which also lets go of the pipe
quiet = subprocess.DEVNULL
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], stdout=quiet, stderr=quiet)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
(folder / "partial").write_text(f"{os.getpid()} {child.pid}")
(folder / "partial").rename(folder / "pids")
time.sleep(300)
"""


def wait_until(happened: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "State:\tZ" in status.read_text()


@pytest.mark.parametrize(
    ("source", "grace", "signals"),
    [(STUBBORN, 0.3, 1), (STUBBORN, 200, 2), (LEAVING, 200, 1)],
    ids=["after its time", "a second signal", "what it left behind"],
)
def test_a_step_that_does_not_want_to_end(tmp_path: Path, source: str, grace: float, signals: int) -> None:
    @dsl.container_component
    def stay(folder: str):
        return dsl.ContainerSpec(image="i", command=["python", "-c", source], args=[folder])

    @dsl.pipeline(name="stays")
    def stays(folder: str):
        stay(folder=folder)

    path = tmp_path / "p.yaml"
    compiler.Compiler().compile(stays, str(path))
    command = [sys.executable, "-c", RUNNER, str(path), str(tmp_path / "runs"), str(tmp_path), str(grace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as runner:
        wait_until((tmp_path / "pids").exists)
        pids = [int(text) for text in (tmp_path / "pids").read_text().split()]
        os.kill(runner.pid, signal.SIGTERM)
        if signals > 1:
            wait_until((tmp_path / "asked").exists)
            os.kill(runner.pid, signal.SIGTERM)
        runner.communicate()
    assert runner.returncode == 130
    for pid in pids:
        wait_until(lambda pid=pid: is_gone(pid), 300)
    latest = tmp_path / "runs" / "latest"
    assert json.loads((latest / "run.json").read_text())["state"] == "stopped"
    assert json.loads((latest / "stay" / "task.json").read_text())["state"] == "stopped"
