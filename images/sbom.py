"""Writes what is in a container image as a bill of materials: CycloneDX 1.5, JSON, with Debian's and Python's packages.

``python images/sbom.py vqi:0.1.0 --output vqi.cdx.json``. The list comes from the image itself, without a network:
what is not in it is not in the bill. With ``--sign-key`` the bill is signed, in the form that cosign verifies.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

ENGINES = ("docker", "podman")
_ASK = """
import json, subprocess
from importlib.metadata import distributions
from pathlib import Path
debian = subprocess.run(["dpkg-query", "--show", "--showformat", "${Package} ${Version} ${Architecture}\\n"],
                        capture_output=True, text=True, check=True).stdout
system = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
python = [[d.metadata["Name"], d.version, d.metadata["License-Expression"] or ""] for d in distributions()]
print(json.dumps({"debian": [line.split() for line in debian.splitlines()], "python": python,
                  "release": system["VERSION_ID"].strip('"')}))
"""


def main() -> int:
    """Read an image's packages and write its bill."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", help="such as vqi:0.1.0")
    parser.add_argument("--engine", choices=ENGINES, help="docker or podman; by default the first that has the image")
    parser.add_argument("--output", type=Path, metavar="FILE", help="standard output when omitted")
    parser.add_argument(
        "--sign-key", type=Path, metavar="FILE", help="a private key (PEM, ECDSA); signs FILE as FILE.sig"
    )
    flags = parser.parse_args()
    if flags.sign_key and not flags.output:
        parser.error("--sign-key signs a file: name it with --output")
    engine = engine_with(flags.image, [flags.engine] if flags.engine else ENGINES)
    command = [engine, "run", "--rm", "--pull", "never", "--read-only", "--network", "none", flags.image]
    done = subprocess.run([*command, "python", "-c", _ASK], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: container image '{flags.image}' cannot be read: {done.stderr.strip()}")
    text = json.dumps(bill(flags.image, json.loads(done.stdout)), indent=2) + "\n"
    if flags.output:
        flags.output.parent.mkdir(parents=True, exist_ok=True)
        flags.output.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{flags.output}\n")
        if flags.sign_key:
            sys.stdout.write(f"{signed(flags.output, flags.sign_key)}\n")
    else:
        sys.stdout.write(text)
    return 0


def engine_with(image: str, engines: Sequence[str]) -> str:
    """The first engine that has an image; ends the program when none has it."""
    for engine in filter(shutil.which, engines):
        if not subprocess.run([engine, "image", "inspect", image], capture_output=True, check=False).returncode:
            return engine
    sys.exit(f"error: container image '{image}' was not found by {' or '.join(engines)}: build it with 'make images'")


def signed(file: Path, key: Path) -> Path:
    """The signature of a file, next to it, as ``cosign verify-blob --key PUBLIC --signature`` takes it."""
    done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key, file], capture_output=True, check=False)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        sys.exit(f"error: '{file}' cannot be signed with the key '{key}': {reason}")
    signature = file.with_name(f"{file.name}.sig")
    signature.write_text(base64.b64encode(done.stdout).decode() + "\n", encoding="ascii")
    return signature


def bill(image: str, found: dict[str, Any]) -> dict[str, Any]:
    """The bill of an image that holds these packages; equal packages give an equal bill."""
    debian = [
        component(name, version, f"pkg:deb/debian/{name}@{quote(version)}?arch={kind}&distro=debian-{found['release']}")
        for name, version, kind in found["debian"]
    ]
    python = [
        component(name, version, f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{quote(version)}", expression)
        for name, version, expression in found["python"]
    ]
    components = sorted(debian + python, key=lambda part: str(part["purl"]))
    name, _, tag = image.rpartition(":") if ":" in image else (image, "", "latest")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([image, components])).urn,
        "version": 1,
        "metadata": {"component": {"type": "container", "name": name, "version": tag, "bom-ref": image}},
        "components": components,
    }


def component(name: str, version: str, purl: str, expression: str = "") -> dict[str, Any]:
    """A package in a bill, with its licence where its metadata gives it as an SPDX expression."""
    made = {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}
    return {**made, "licenses": [{"expression": expression}]} if expression else made


if __name__ == "__main__":
    sys.exit(main())
