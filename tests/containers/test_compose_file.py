"""images/compose.yaml fits the schema of the Compose Specification, and nothing in it is privileged."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from tests.containers.conftest import ROOT
from vqi import __version__

FILE = ROOT / "images" / "compose.yaml"
# From the Compose Specification, as in compose-go 2 (Apache-2.0, unchanged).
SCHEMA = json.loads((ROOT / "tests" / "containers" / "compose-spec.json").read_text())
PROJECT = yaml.safe_load(FILE.read_text())
SERVICES = PROJECT["services"]
OURS = ("pipeline", "dev", "keys")
NOT_FOR_US = (
    "privileged", "cap_add", "devices", "device_cgroup_rules", "pid", "ipc", "userns_mode", "cgroup", "cgroup_parent",
    "ports", "group_add", "use_api_socket", "credential_spec",
)  # fmt: skip


def problems(project: Any) -> list[str]:
    validator = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)
    return [error.message for error in validator.iter_errors(project)]


def test_fits_the_schema() -> None:
    assert problems(PROJECT) == []


def test_the_schema_sees_a_misspelt_key() -> None:
    planted = {**PROJECT, "services": {**SERVICES, "dev": {**SERVICES["dev"], "read_olny": True}}}
    assert problems(planted) == ["'read_olny' does not match any of the regexes: '^x-'"]


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_privileged(name: str) -> None:
    service = SERVICES[name]
    assert not set(service) & set(NOT_FOR_US)
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert service["pids_limit"] == 4096
    assert service.get("network_mode", "none") == "none"
    assert not re.search(r"\b(root|0:|\"0\")", str(service.get("user", "10001:0")))
    assert "docker.sock" not in str(service)


def writable(volumes: list[Any]) -> Iterator[str]:
    for volume in volumes:
        if isinstance(volume, str):
            _, target, *mode = volume.split(":")
            if mode != ["ro"]:
                yield target
        elif not volume.get("read_only"):
            yield volume["target"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("pipeline", ["/output", "/tmp"]), ("dev", ["/output", "/tmp"]), ("keys", ["/keys"]), ("store", ["/data"])],
)
def test_what_may_be_written_to(name: str, expected: list[str]) -> None:
    assert list(writable(SERVICES[name]["volumes"])) == expected


@pytest.mark.parametrize("name", ["pipeline", "dev"])
def test_a_folder_that_is_not_there_is_not_made(name: str) -> None:
    """Docker creates it, as root; podman's service creates it anyway."""
    folders = [volume for volume in SERVICES[name]["volumes"] if volume["type"] == "bind" and volume["source"] != ".."]
    assert [volume["target"] for volume in folders] == ["/data", "/configs", "/output"]
    assert all(volume["bind"] == {"create_host_path": False} for volume in folders)


def test_images_are_ours_or_pinned() -> None:
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert {images[name] for name in OURS} == {f"vqi-pipeline:${{TAG:-{__version__}}}"}
    assert {SERVICES[name]["pull_policy"] for name in OURS} == {"never"}
    assert re.fullmatch(r"\$\{SEAWEEDFS_IMAGE:-docker\.io/chrislusf/seaweedfs:\d+\.\d+\}", images["store"])
    assert "minio" not in FILE.read_text()


def test_the_store_reports_to_nobody_and_opens_one_port() -> None:
    flags = SERVICES["store"]["command"]
    assert "-master.telemetry=false" in flags
    assert [flag for flag in flags if ".bind=" in flag] == ["-ip.bind=127.0.0.1", "-s3.ip.bind=0.0.0.0"]
    assert PROJECT["networks"]["store"] == {"internal": True}


def test_no_key_is_written_down() -> None:
    assert not re.search(r"(?i)(secret|password|access)_?key\s*[:=]\s*['\"]?\w", FILE.read_text())


def test_the_settings_of_the_environment(compose: list[str], tmp_path: Any) -> None:
    """What Docker Compose itself reads from the file, with every variable set."""
    told = {
        "DATASET_DIR": f"{tmp_path}/d", "CONFIG_DIR": f"{tmp_path}/c", "OUTPUT_DIR": f"{tmp_path}/o", "CONFIG": "mine",
        "VQI_USER": "1234:0", "USER_CONSENT": "y", "HTTPS_PROXY": "http://proxy:3128", "no_proxy": "intern", "TAG": "t",
    }  # fmt: skip
    asked = [*compose, "--profile", "dev", "config", "--format", "json"]
    done = subprocess.run(asked, env={**os.environ, **told}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for service in (json.loads(done.stdout)["services"][name] for name in ("pipeline", "dev")):
        mounts = {one["target"]: one.get("source") for one in service["volumes"]}
        assert [mounts[target] for target in ("/data", "/configs", "/output")] == [
            told[name] for name in ("DATASET_DIR", "CONFIG_DIR", "OUTPUT_DIR")
        ]
        assert (service["user"], service["image"]) == ("1234:0", "vqi-pipeline:t")
        assert service["environment"]["USER_CONSENT"] == "y"
        assert service["environment"]["https_proxy"] == "http://proxy:3128"
        assert service["environment"]["no_proxy"] == "store,localhost,127.0.0.1,intern"
    assert json.loads(done.stdout)["services"]["pipeline"]["command"][-1] == "/configs/mine.yaml"
