"""vqi doctor: what it finds, what it says of what does not work, and its exit code."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from vqi.network.embedded import EMBEDDED
from vqi.store.folder import FolderStore
from vqi.store.interface import ConditionsError
from vqi_pipelines import doctor
from vqi_pipelines.commands.group import vqi


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VQI_STORE", raising=False)


def ran(*flags: str) -> tuple[int, Any]:
    done = CliRunner().invoke(vqi, ["doctor", "--json", *flags])
    return done.exit_code, json.loads(done.stdout)


def of(content: Any, what: str) -> Any:
    (found,) = [one for one in content["findings"] if one["what"] == what]
    return found


def test_a_machine_that_works() -> None:
    code, content = ran("--quick", "--store", "store")
    assert (code, content["problems"]) == (0, [])
    assert of(content, "processor")["facts"]["granted"] >= 1
    assert of(content, "packages")["facts"]["vqi"] == "0.1.0"
    assert of(content, "engines")["facts"]["engine"] == "openvino"
    assert of(content, "store")["facts"] == {"uri": "store", "reached": True, "conditional_writes": True}
    assert not [path for path in Path("store").rglob("*") if path.is_file()], "nothing is left in the store"


def test_for_people() -> None:
    done = CliRunner().invoke(vqi, ["doctor", "--quick"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[-1] == "everything works"
    assert all(re.match(r"  (ok|note) ", line) for line in lines[:-2])


def test_a_store_that_ignores_conditions_or_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def ignores(store: FolderStore, key: str) -> None:
        raise ConditionsError("it ignores conditions")

    monkeypatch.setattr(FolderStore, "check_conditions", ignores)
    code, content = ran("--quick", "--store", "store")
    assert (code, content["problems"]) == (2, ["store"])
    assert "written and read, but no model can be promoted: it ignores" in of(content, "store")["said"]
    Path("file").write_text("no folder")
    code, content = ran("--quick", "--store", "file")
    assert (code, of(content, "store")["facts"]["reached"]) == (2, False)


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "installed", lambda engine: False)
    monkeypatch.setattr(type(next(iter(EMBEDDED.values()))), "installed", lambda self: False)
    code, content = ran("--quick")
    assert (code, content["problems"]) == (2, ["weights", "engines"])
    assert "pip install 'vqi[torch]'" in of(content, "engines")["said"]
    assert "pip install 'vqi[embedded]'" in of(content, "weights")["said"]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "ended by SIGILL: set engine"),
        (
            "raise ImportError('libgone.so: cannot open')",
            r"failed \(ImportError: libgone.so: cannot open\): set engine",
        ),
        ("import signal; signal.pause()", "computed nothing in 1 s"),
        ("print(12.4)", "^fp32, 12 images/s$|^bf16, 12 images/s$"),
    ],
)
def test_an_engine_that_is_tried(monkeypatch: pytest.MonkeyPatch, program: str, said: str) -> None:
    run = subprocess.run

    def other(command: list[str], **options: Any) -> Any:
        assert command[1:3] == ["-m", "vqi.network.timing"]
        return run([sys.executable, "-c", program], **options)

    monkeypatch.setattr(doctor, "SECONDS", 1 if "pause" in program else 60)
    monkeypatch.setattr(doctor.subprocess, "run", other)
    found = doctor._engine("openvino", timed=True)
    assert re.search(said, found.said), found.said
    assert (found.state == "ok") == ("images/s" in said)


@pytest.mark.parametrize(("name", "what"), [("LITTLE_MEMORY", "memory"), ("LITTLE_DISK", "disk, here")])
def test_little_room_is_a_note(monkeypatch: pytest.MonkeyPatch, name: str, what: str) -> None:
    monkeypatch.setattr(doctor, name, 1 << 60)
    code, content = ran("--quick")
    assert (code, of(content, what)["state"]) == (0, "note")


def test_several_nodes_are_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "numa_nodes", lambda: 2)
    assert "numactl" in of(ran("--quick")[1], "processor")["said"]


@pytest.mark.slow
def test_an_engine_is_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["timing", "eager", "fp32"])
    runpy.run_module("vqi.network.timing", run_name="__main__")  # in this process, which has torch from other tests
    assert float(capsys.readouterr().out) > 0
