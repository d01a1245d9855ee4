"""One small chain of the steps, each run through its ``main`` as in a container, shared by all tests of steps."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.step_outputs import output_files

BACKBONE, LAYER, SIZE = "tf_efficientnet_lite0", "blocks.2", 64
CATEGORY, RUN = "bracket", "run-1"


def run_step(name: str, store: Path | str | None = None, **flags: object) -> int:
    """A step's exit code. Keyword arguments become flags; ``store`` is ``$VQI_STORE``."""
    argv: list[str] = []
    for flag, value in flags.items():
        argv += [f"--{flag.replace('_', '-')}", str(value)]
    before = os.environ.pop("VQI_STORE", None)
    try:
        if store is not None:
            os.environ["VQI_STORE"] = str(store)
        code: int = importlib.import_module(f"vqi_components.{name}.__main__").main(argv)
        return code
    finally:
        os.environ.pop("VQI_STORE", None)
        if before is not None:
            os.environ["VQI_STORE"] = before


class Chain:
    """The outputs of the steps over one category, in ``folder``; ``run(step, **changed)`` runs one of them again."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder, self.source, self.store = folder, source, folder / "store"

    def flags(self, name: str) -> dict[str, object]:
        """The flags of a step: its settings, its inputs in the chain and its outputs."""
        at = self.folder
        images, features, detector = at / "images", at / "features.safetensors", at / "detector.safetensors"
        settings: dict[str, dict[str, object]] = {
            "dataset_download": {
                "source": f"folder:{self.source}",
                "catalog": at / "catalog.json",
                "dataset": at / "dataset",
                "categories": at / "categories",
                "recipe": at / "recipe",
                "changes": at / "changes.json",
            },
            "preprocess": {
                "category": CATEGORY,
                "image_size": SIZE,
                "images": images,
                "data_report": at / "data_report.json",
                "data_page": at / "data_page.html",
                "data_page_folder": at / "data_page",
            },
            "ssl_finetune": {
                "backbone_name": BACKBONE,
                "weights": "random",
                "images": images,
                "backbone": at / "backbone.safetensors",
                "layer": LAYER,
                "parent": at / "parent.safetensors",
                "training_log": at / "training_log.csv",
            },
            "feature_extract": {
                "layer": LAYER,
                "engine": "eager",
                "precision": "fp32",
                "images": images,
                "backbone": at / "backbone.safetensors",
                "parent": at / "parent.safetensors",
                "features": features,
            },
            "pca_fit": {"kind": "pca", "folds": 4, "features": features, "detector": detector},
            "evaluate": {
                "bootstrap": 100,
                "examples": 2,
                "images": images,
                "data_report": at / "data_report.json",
                "features": features,
                "detector": detector,
                "training_log": at / "training_log.csv",
                "scores": at / "scores",
                "metrics": at / "metrics.json",
                "roc": at / "roc.json",
                "report": at / "report.html",
                "summary": at / "summary",
            },
            "publish": {
                "backbone": at / "backbone.safetensors",
                "detector": detector,
                "metrics": at / "metrics.json",
                "report": at / "report.html",
                "decision": at / "decision",
                "decided_report": at / "decided_report.html",
                "decided_report_folder": at / "decided_report",
                "gate_metrics": at / "gate_metrics.json",
                "run": RUN,
            },
            "summarize": {
                "table": at / "table",
                "table_page": at / "table_page.md",
                "decisions": at / "decisions",
                "run": RUN,
                "executor_input": executor_input(at, table_page="system.Markdown"),
            },
        }
        flags = settings[name]
        if name in ("preprocess", "publish", "summarize"):
            flags["dataset"] = (at / "dataset").read_text()
        if name == "publish":
            flags["summary"] = (at / "summary").read_text()
        return flags

    def run(self, name: str, **changed: object) -> int:
        """The exit code of a step with some flags changed; where an output is moved, the others are beside it."""
        flags, outputs = self.flags(name), output_files(name, self.folder)
        moved = [value for one, value in changed.items() if one in outputs and isinstance(value, Path)]
        if moved:
            flags |= {one: moved[0].parent / f"{moved[0].name}-{one}" for one in outputs}
        return run_step(name, self.store, **{**flags, **changed})


def executor_input(folder: Path, **schemas: str) -> str:
    """What Kubeflow's launcher inserts for ``{{$}}``, as far as outputs go."""
    artifacts = {
        name: {"artifacts": [{"type": {"schemaTitle": schema}, "uri": f"minio://bucket/{name}", "metadata": {}}]}
        for name, schema in schemas.items()
    }
    return json.dumps({"inputs": {}, "outputs": {"artifacts": artifacts, "outputFile": str(folder / "output.json")}})


STEPS = (
    "dataset_download", "preprocess", "ssl_finetune", "feature_extract", "pca_fit", "evaluate", "publish", "summarize",
)  # fmt: skip


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory, make_defect_dataset: Callable[..., Path]) -> Chain:
    """All steps, run once. Tests write their own outputs elsewhere."""
    folder = tmp_path_factory.mktemp("chain")
    made = Chain(folder, make_defect_dataset(folder / "parts", train=12, good=4, defective=3, size=SIZE))
    for name in STEPS:
        assert made.run(name) == 0, name
    return made


@pytest.fixture
def one_error(capsys: pytest.CaptureFixture[str]) -> Callable[[int], str]:
    """Checks exit code 2 and one line of error on stderr without a traceback; returns the message."""

    def check(code: int) -> str:
        stderr = capsys.readouterr().err
        errors = [line for line in stderr.splitlines() if line.startswith("error: ")]
        assert (code, len(errors)) == (2, 1), stderr
        assert "Traceback" not in stderr
        assert stderr.splitlines()[-1] == errors[0], stderr
        return errors[0].removeprefix("error: ")

    return check
