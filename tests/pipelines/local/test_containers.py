"""The launcher of containers without an engine: what a step is granted, limits, and the messages for a broken machine."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from vqi.errors import VqiError
from vqi_components.declare import LIGHT_IMAGE, TORCH_IMAGE
from vqi_pipelines.compiled import training_ir
from vqi_pipelines.ir import read_ir
from vqi_pipelines.ir.graph import Pipeline
from vqi_pipelines.local.containers import Containers, mount_flag
from vqi_pipelines.local.grants import Mount, mounts, needs_network, network_flags, variables
from vqi_pipelines.local.launch import Job
from vqi_pipelines.local.limits import Limits, here, limits_of, out_of_memory

S3 = {"VQI_STORE": "s3://bucket", "VQI_S3_ENDPOINT": "https://storage.example.com", "AWS_SECRET_ACCESS_KEY": "SK"}


@cache
def training() -> Pipeline:
    return read_ir(training_ir())


STEPS = [
    "dataset_download",
    "preprocess",
    "ssl_finetune",
    "feature_extract",
    "pca_fit",
    "evaluate",
    "publish",
    "summarize",
]
ON_THE_STORE = {
    "dataset_download": True, "preprocess": False, "ssl_finetune": True, "publish": True, "summarize": True,
}  # may write there  # fmt: skip


def job_of(
    step: str, folder: Path, environment: Mapping[str, str] | None = None, inputs: tuple[Path, ...] = (), **given: Any
) -> Job:
    """A step of the compiled training pipeline, with its defaults for what is not given."""
    component = training().components[f"comp-{step.replace('_', '-')}"]
    assert component.container
    parameters = {name: p.default for name, p in component.inputs.items() if p.default is not None} | given
    command = component.container.command
    return Job(
        step, component.container, command, folder, inputs, parameters, environment or {}, folder / "log",
        lambda _: None,
    )  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
def test_network_and_credentials_are_for_the_steps_on_the_store(step: str, tmp_path: Path) -> None:
    job = job_of(step, tmp_path, S3)
    assert needs_network(job) == (step in ON_THE_STORE)
    assert ("AWS_SECRET_ACCESS_KEY" in variables(job, sized=True)) == (step in ON_THE_STORE)
    assert (network_flags(job) == ["--network", "none"]) == (step not in ON_THE_STORE)


@pytest.mark.parametrize("step", STEPS)
def test_a_store_that_is_a_folder_needs_no_network(step: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    job = job_of(step, tmp_path / "job", {"VQI_STORE": f"file://{store}", "VQI_CACHE": str(tmp_path / "cache")})
    assert network_flags(job) == ["--network", "none"]
    seen = {mount.path: mount.writable for mount in mounts(job)}
    assert seen.pop(tmp_path / "job")
    assert seen.pop(tmp_path / "cache" / "containers", False) == (step == "dataset_download")
    assert seen == ({store: ON_THE_STORE[step]} if step in ON_THE_STORE else {})


def test_a_server_on_loopback_is_reached_over_the_network_of_the_machine(tmp_path: Path) -> None:
    told = {**S3, "VQI_S3_ENDPOINT": "http://127.0.0.1:8333"}
    assert network_flags(job_of("publish", tmp_path, told)) == ["--network", "host"]
    assert network_flags(job_of("publish", tmp_path, S3)) == []


def test_weights_to_download_need_a_network_and_the_embedded_ones_none(tmp_path: Path) -> None:
    local = {"VQI_STORE": f"file://{tmp_path / 'store'}"}
    embedded = job_of("ssl_finetune", tmp_path, local, weights="pretrained", backbone_name="tf_efficientnet_lite0")
    downloaded = job_of("ssl_finetune", tmp_path, local, weights="pretrained", backbone_name="resnet50")
    assert (needs_network(embedded), needs_network(downloaded)) == (False, True)


SOURCES = {
    "elpv": False,
    "folder:/photographs": False,
    "archive:/photographs.tar": False,
    "archive:https://example.com/photographs.tar": True,
    "csv:/table.csv": True,  # whose rows may name any address
    "bucket:s3://bucket/photographs": True,
    "mvtec-ad": True,
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_behind_a_network_gets_one_and_what_it_needs_there(source: str, tmp_path: Path) -> None:
    told = {
        "VQI_STORE": f"file://{tmp_path / 'store'}", "VQI_CACHE": str(tmp_path), "USER_CONSENT": "y",
        "VQI_HTTP_TOKENS": "h=t", "https_proxy": "http://proxy:1", "REQUESTS_CA_BUNDLE": "/certificates.pem",
    }  # fmt: skip
    job = job_of("dataset_download", tmp_path / "job", told, source=source, url="")
    assert needs_network(job) == SOURCES[source]
    seen = variables(job, sized=True)
    assert {"USER_CONSENT", "VQI_HTTP_TOKENS"} <= set(seen)
    assert {"https_proxy", "REQUESTS_CA_BUNDLE"} & set(seen) == (
        {"https_proxy", "REQUESTS_CA_BUNDLE"} if SOURCES[source] else set()
    )
    assert (Mount(Path("/certificates.pem")) in mounts(job)) == SOURCES[source]
    assert not {"USER_CONSENT", "VQI_HTTP_TOKENS"} & set(variables(job_of("preprocess", tmp_path, told), sized=True))


@pytest.mark.parametrize("step", STEPS)
def test_an_identity_and_its_files_are_for_the_steps_on_the_store(step: str, tmp_path: Path) -> None:
    files = {
        name: tmp_path / name
        for name in ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
    }
    for file in files.values():
        file.write_text("")
    given = {name: str(path) for name, path in files.items()} | {"AWS_ROLE_ARN": "arn:x", "AWS_DEFAULT_REGION": "r"}
    for told in (S3 | given, {"VQI_S3_ENDPOINT": "https://h", "VQI_STORE": "s3://bucket", "HOME": "/none"} | given):
        job = job_of(step, tmp_path / "job", told)
        seen = variables(job, sized=True)
        assert (seen.items() >= given.items()) == (step in ON_THE_STORE)
        assert ({Mount(path) for path in files.values()} <= set(mounts(job))) == (step in ON_THE_STORE)
        assert step in ON_THE_STORE or not given.keys() & seen.keys()


def test_the_usual_files_of_profiles_are_mounted_where_they_have_the_key(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("")
    told = {"VQI_STORE": "s3://bucket", "VQI_S3_ENDPOINT": "https://h", "HOME": str(tmp_path), "AWS_PROFILE": "line"}
    file = tmp_path / ".aws" / "credentials"
    for key in ("", "AK"):
        job = job_of("publish", tmp_path / "job", {**told, "AWS_ACCESS_KEY_ID": key})
        assert (Mount(file) in mounts(job)) == (not key)
        assert (variables(job, sized=True).get("AWS_SHARED_CREDENTIALS_FILE") == str(file)) == (not key)


def test_an_archive_that_is_there_needs_no_network(tmp_path: Path) -> None:
    job = job_of("dataset_download", tmp_path, {"VQI_CACHE": str(tmp_path)}, source="mvtec-ad", url="/mvtec.tar.xz")
    assert not needs_network(job)


@pytest.mark.parametrize("step", STEPS)
def test_downloads_are_kept_by_the_step_that_reads_a_source(step: str, tmp_path: Path) -> None:
    seen = variables(job_of(step, tmp_path / "job", {"VQI_CACHE": str(tmp_path)}), sized=True)
    assert seen.get("VQI_CACHE") == (str(tmp_path / "containers") if step == "dataset_download" else None)


def test_a_table_is_seen_with_what_is_beside_it(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "p.csv").touch()
    job = job_of("dataset_download", tmp_path / "job", {}, source=f"csv:{tmp_path}/parts/p.csv")
    assert Mount(tmp_path / "parts") in mounts(job)


def test_inputs_and_named_paths_are_read_only(tmp_path: Path) -> None:
    photographs, weights, features = tmp_path / "parts", tmp_path / "w.pth", tmp_path / "features"
    photographs.mkdir()
    weights.touch()
    named = {"source": f"folder:{photographs}", "weights": f"{weights}#sha256=00", "category": "/not/there"}
    job = job_of("dataset_download", tmp_path / "job", {"VQI_CACHE": str(tmp_path)}, (features,), **named)
    assert mounts(job) == [
        Mount(tmp_path / "job", writable=True), Mount(features), Mount(tmp_path / "containers", writable=True),
        Mount(photographs), Mount(weights),
    ]  # fmt: skip


def test_a_checkpoint_to_begin_with_is_seen(tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.pth.tar"
    checkpoint.touch()
    finetune = {"initial_checkpoint": f"{checkpoint}#sha256=00", "lr": 0.1}
    job = job_of("ssl_finetune", tmp_path / "job", {}, finetune=finetune, weights="random")
    assert mounts(job) == [
        Mount(tmp_path / "job", writable=True), Mount(checkpoint),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, Limits(None, None)),
        ({"resourceCpuLimit": "500m", "resourceMemoryLimit": "512Mi"}, Limits(0.5, 512 << 20)),
        ({"resourceCpuLimit": "2", "resourceMemoryLimit": "1.5G"}, Limits(2.0, 1_500_000_000)),
        ({"cpuLimit": 1.0, "memoryLimit": 4.0}, Limits(1.0, 4_000_000_000)),
    ],
)
def test_limits(resources: dict[str, Any], expected: Limits) -> None:
    assert limits_of(resources) == expected


def test_more_processors_than_the_machine_has_are_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vqi_pipelines.local.limits.granted_cpus", lambda: 2)
    assert here(Limits(4.0, 1)) == here(Limits(2.0, 1)) == here(Limits(None, 1)) == Limits(None, 1)
    assert here(Limits(1.5, 1)) == Limits(1.5, 1)


@pytest.mark.parametrize("text", ["", "1Zi", "-1", "0", "much"])
def test_an_amount_that_is_none(text: str) -> None:
    with pytest.raises(VqiError, match="memory limit: expected an amount such as"):
        limits_of({"resourceMemoryLimit": text})


def test_out_of_memory_says_what_to_lower() -> None:
    def said_of(step: str) -> str:
        container = training().components[f"comp-{step}"].container
        assert container
        return out_of_memory(container, 256 << 20)

    assert said_of("publish").endswith("raise the limit, or make the step use less memory")
    said = said_of("feature-extract")
    assert said.startswith("out of memory at the step's limit of 256 MiB: raise the limit, or lower batch_size")


# ---------------------------------------------------------------------------------------------------- broken machines


def engine(folder: Path, script: str, name: str = "docker") -> None:
    """A substitute for an engine's command, with its real messages, because no daemon can be started or stopped here."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def launched(path: Path, launcher: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """``vqi run`` with only the programs in ``path``."""
    command = [sys.executable, "-c", "from vqi_pipelines.cli import main; main()", "run", "--launcher", launcher]
    return subprocess.run(
        command, env={**os.environ, "PATH": str(path)}, cwd=folder, capture_output=True, text=True, timeout=120
    )


NOT_RUNNING = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
CASES = {
    "not installed": (
        None,
        "error: launcher 'docker': docker is not installed: install it, or use another --launcher",
    ),
    "not running": (
        f"echo '{NOT_RUNNING}' >&2; exit 1",
        f"error: launcher 'docker': docker did not respond ({NOT_RUNNING}): start its service, such as 'systemctl start "
        "docker', or use another --launcher",
    ),
    "no image": (
        '[ "$1" != image ] || { echo "Error: No such image" >&2; exit 1; }',
        f"error: container image '{TORCH_IMAGE}' is not on this machine: 'make images ENGINE=docker' builds it, "
        f"'docker pull {TORCH_IMAGE}' fetches it from a registry",
    ),
    "root": (
        '[ "$1" != image ] || echo "sha256:00 "',
        f"error: container image '{TORCH_IMAGE}': expected a USER that is a number other than 0, got 'root': build "
        "it again with 'make images ENGINE=docker'",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_broken_machine_is_one_line(case: str, tmp_path: Path) -> None:
    script, expected = CASES[case]
    programs = tmp_path / "bin"
    programs.mkdir()
    if script is not None:
        engine(programs, script)
    done = launched(programs, "docker", tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (2, f"{expected}\n", "")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('[ "$1" != image ] || exit 1', "image 'tools:1' is not on this machine: 'docker pull tools:1' fetches it from a registry"),
        ('[ "$1" != image ] || echo "sha256:00 "', "got 'root': build it again with such a USER: here and on a cluster no step is root"),
    ],
)  # fmt: skip
def test_an_image_of_somebody_else(script: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(VqiError, match=message):
        Containers("docker").check(["tools:1"])


COUNTS = {
    "version 1": ("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", "out of memory"),
    "version 2": ("low 0\nhigh 0\nmax 31\noom 1\noom_kill 1\noom_group_kill 0\n", "out of memory"),
    "not for memory": ("oom 1\noom_kill 0\noom_group_kill 0\n", "ended by signal SIGKILL"),
    "not there": ("", "ended by signal SIGKILL"),
}


@pytest.mark.parametrize("counts", COUNTS)
def test_a_kill_for_want_of_memory_is_read_from_the_cgroup(
    counts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the engine itself does not report it, as podman before 5; both versions of the counts."""
    text, expected = COUNTS[counts]
    engine(
        tmp_path,
        f"""case "$1" in
        image) echo sha256:00 10001;;
        run) printf '{text}' > {tmp_path}/job/memory_events; exit 137;;
        rm) touch {tmp_path}/removed;;
        container) [ ! -e {tmp_path}/removed ] || exit 1; echo false;;
    esac""",
    )
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "job" / "work").mkdir(parents=True)
    job = job_of("feature_extract", tmp_path / "job")
    limits = {"resourceMemoryLimit": "256Mi"}
    launcher = Containers("docker")
    launcher.check([job.container.image])
    ended = asyncio.run(launcher.run(replace(job, container=replace(job.container, resources=limits))))
    assert ended.code == 137
    assert ended.reason.startswith(expected)
    assert "256 MiB" in ended.reason
    assert "batch_size" in ended.reason


@pytest.mark.parametrize(
    ("failures", "expected"), [(0, ""), (2, ""), (99, "container vqi-probe was not removed (busy)")]
)
def test_a_removal_that_fails_is_tried_again(
    failures: int, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that the engine reports as done: whether the container is gone is what counts."""
    tries = tmp_path / "tries"
    engine(
        tmp_path,
        f"""echo >> {tries}
    [ "$1" = rm ] && echo busy >&2
    [ "$1" = container ] && [ $(wc -l < {tries}) -ge {2 * failures + 2} ] && exit 1
    exit 0""",
    )
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("vqi_pipelines.local.containers._REMOVAL_PAUSES", (0.0, 0.0, 0.0))
    assert Containers("docker")._remove("vqi-probe").startswith(expected)
    assert len(tries.read_text().splitlines()) == 2 * min(failures + 1, 4)


def test_a_path_with_a_comma_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VqiError, match="a path with a comma cannot be mounted"):
        mount_flag(Mount(tmp_path / "a,b"))


def test_an_engine_that_hangs_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path, "exec /bin/sleep 60")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("vqi_pipelines.local.containers._ANSWER_SECONDS", 0.2)
    with pytest.raises(VqiError, match=r"docker did not respond within 0\.2 s"):
        Containers("docker").check([LIGHT_IMAGE])
