"""Compiling the whole pipeline for both platforms, where torch cannot be imported."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measure import best_of, command_cost, table, vqi

INSIDE = """
import pathlib, sys, time
from vqi_pipelines.manifests import write_manifests
times = []
for _ in range(3):
    begin = time.perf_counter()
    write_manifests(pathlib.Path(sys.argv[1]))
    times.append(time.perf_counter() - begin)
print(min(times))
"""
WITHOUT_TORCH = "import sys; sys.modules['torch'] = sys.modules['torchvision'] = None\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(WITHOUT_TORCH)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])}
        command = vqi("compile", "--output", str(Path(folder) / "manifests"))
        whole = best_of(lambda: command_cost(command, env=environment))
        alone = subprocess.run(
            [sys.executable, "-c", INSIDE, folder], env=environment, check=True, capture_output=True, text=True
        )
        imports = best_of(lambda: command_cost([sys.executable, "-c", "import kfp, hera.workflows"], env=environment))
    rows = [
        ["from kfp's functions to both folders of YAML", f"{float(alone.stdout):.2f} s"],
        ["the command vqi compile", f"{whole:.2f} s"],
        ["of that the imports of kfp and hera", f"{imports:.2f} s"],
    ]
    table("Compiling for Kubeflow and Argo, without torch", ["", "time"], rows)
