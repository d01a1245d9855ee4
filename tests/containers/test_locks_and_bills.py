"""The locks of the images belong to pyproject.toml, and a bill of materials is valid CycloneDX."""

import base64
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from images import sbom
from tests.containers.conftest import ROOT
from vqi_components.declare import LIGHT_IMAGE


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, folder / "images" / "lock.py", "--check"], capture_output=True, text=True, timeout=60
    )


def test_locks_are_fresh_until_a_requirement_changes(tmp_path: Path) -> None:
    assert check(ROOT).returncode == 0, "run 'make lock' and commit the result"
    for folder in ("images", "locks"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    project = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(project.replace('"pillow>=', '"pillow>1,>='))
    done = check(tmp_path)
    assert done.returncode == 1
    for folder, line in zip(("images/locks", "locks"), done.stderr.splitlines(), strict=True):
        assert line == f"{folder} does not belong to this pyproject.toml: run 'make lock' and commit the result"


def test_what_compiles_pipelines_binds_no_image(tmp_path: Path) -> None:
    """kfp pins requests and urllib3; the locks neither contain it nor depend on its version."""
    for folder in ("images", "locks"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    project = (ROOT / "pyproject.toml").read_text()
    extra = tomllib.loads(project)["project"]["optional-dependencies"]["pipelines"]
    (kfp,) = [requirement for requirement in extra if requirement.startswith("kfp==")]
    (tmp_path / "pyproject.toml").write_text(project.replace(f'"{kfp}"', '"kfp==1.0"'))
    assert check(tmp_path).stderr.startswith("locks does not belong"), "what make install installs does"
    compilers = {re.split("[=<>]", requirement)[0] for requirement in extra}
    assert not compilers & set(pins())


def test_a_package_has_one_version_in_all_images() -> None:
    versions = pins()
    assert {"requests", "torch", "elpv-dataset", "click"} <= set(versions)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def pins() -> dict[str, set[str]]:
    """The versions of each package over all locks; a CPU build of torch counts as the version that it is a build of."""
    found: dict[str, set[str]] = {}
    for lock in (ROOT / "images" / "locks").glob("*.txt"):
        for name, version in re.findall(r"^([a-z0-9][^=\s]*)==([^\s+]+)", lock.read_text(), flags=re.MULTILINE):
            found.setdefault(name, set()).add(version)
    return found


def test_every_locked_package_has_its_digest() -> None:
    for lock in (ROOT / "images" / "locks").glob("*.txt"):
        text = lock.read_text()
        packages = [line for line in text.splitlines() if line[:1].isalnum()]
        assert packages, lock
        assert all("==" in line and line.endswith("\\") for line in packages), lock
        assert text.count("--hash=sha256:") >= len(packages), lock


@pytest.mark.usefixtures("images")
def test_a_bill_of_materials_is_valid_and_whole(tmp_path: Path) -> None:
    """The engine that has the image is asked, although Docker's client comes first."""
    bill = tmp_path / "dist" / "vqi.cdx.json"
    command = [sys.executable, ROOT / "images" / "sbom.py", LIGHT_IMAGE, "--output", bill]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{bill}\n"), done.stderr
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(bill.read_text()) is None
    found = {(part["purl"].partition("@")[0], part["version"]) for part in json.loads(bill.read_text())["components"]}
    locked = (ROOT / "images" / "locks" / "light.txt").read_text()
    pins = [line.split()[0].split("==") for line in locked.splitlines() if line[:1].isalnum()]
    assert {(f"pkg:pypi/{name}", version) for name, version in pins} <= found
    assert {"pkg:deb/debian/tini", "pkg:deb/debian/libc6"} <= {name for name, _ in found}


def test_no_such_image_is_one_line(tmp_path: Path) -> None:
    bill = tmp_path / "none.cdx.json"
    command = [sys.executable, ROOT / "images" / "sbom.py", "not/there:1", "--output", bill]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "error: container image 'not/there:1' was not found by docker or podman: build it with 'make images'\n"
    )
    assert not bill.exists()


def test_a_bill_is_signed_as_cosign_verifies_it(tmp_path: Path) -> None:
    """A signature over the sha256 of the file, in base64: openssl checks the same."""
    key, public, bill = tmp_path / "key.pem", tmp_path / "public.pem", tmp_path / "bill.json"
    made = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key]
    subprocess.run(made, check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    bill.write_text("{}\n")
    signature = sbom.signed(bill, key)
    assert signature == tmp_path / "bill.json.sig"
    (tmp_path / "raw").write_bytes(base64.b64decode(signature.read_text()))
    verify = ["openssl", "dgst", "-sha256", "-verify", public, "-signature", tmp_path / "raw", bill]
    assert subprocess.run(verify, capture_output=True, check=False).returncode == 0
    bill.write_text("{} \n")
    assert subprocess.run(verify, capture_output=True, check=False).returncode == 1
    with pytest.raises(SystemExit, match="cannot be signed with the key"):
        sbom.signed(bill, public)


def test_what_installs_is_locked_too() -> None:
    """pip itself and all packages but torch's, which are those of the images; each with its sums."""
    known = {path.name: path.read_text() for path in (ROOT / "locks").glob("*.txt")}
    assert known.keys() == {"pip.txt", "develop.txt"}
    for text in known.values():
        packages = re.findall(r"^[a-z0-9].*", text, flags=re.MULTILINE)
        assert packages
        assert all("==" in line and line.endswith("\\") for line in packages)
    assert re.search("^pip==", known["pip.txt"], flags=re.MULTILINE)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {re.split(r"[=<>\[;]", requirement)[0] for requirement in (*extras["pipelines"], *extras["dev"])}
    locked = set(re.findall(r"^([a-z0-9.-]+)(?:\[.*\])?==", known["develop.txt"], flags=re.MULTILINE))
    assert names - locked == {"vqi"}
    assert not {name for name in locked if name.startswith("nvidia-") or name in ("torch", "torchvision")}
