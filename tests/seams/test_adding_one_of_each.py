"""What it takes to add one: in a scratch copy a made-up detector, source, method, sink, mirror and step is added.

A folder in ``made_up`` has an addition's own files, at the places where they belong; ``EDITS`` are the lines that are
added to existing files. The files that differ from the repository are counted, generated ones separately.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.step_outputs import output_files
from tests.vqi.made import features_record, maps_of, metrics, save_features
from tests.vqi.models.packages import package
from vqi.artifacts.features import Features
from vqi.artifacts.metrics import write_metrics
from vqi.models.registry import publish
from vqi.store.opening import open_store

ROOT = Path(__file__).parents[2]
MADE_UP = Path(__file__).parent / "made_up"
COPIED = ("src", "components", "pipelines", "chart", "manifests", "pyproject.toml")
GENERATED = ("manifests/", "chart/")

# By addition and file: the existing line -> what replaces it, which ends or begins with that line.
EDITS: dict[str, dict[str, dict[str, str]]] = {
    "detector": {
        "src/vqi/detectors/registry.py": {
            "from vqi.detectors.interface import": """from vqi.detectors.distance import Distance
from vqi.detectors.interface import""",
            '    "pca": Pca,': '    "distance": Distance,\n    "pca": Pca,',
        },
    },
    "source": {
        "src/vqi/datasets/sources.py": {
            '    "elpv": "elpv",': '    "drawn": "drawn",\n    "elpv": "elpv",',
        },
    },
    "method": {
        "src/vqi/config.py": {
            "# By method;": '''class Turning(Finetune):
    """The keys of ``finetune`` of turning."""

    dropout: float = Field(0.1, ge=0, lt=1, description="share of the features that the head does not see")


# By method;''',
            '    "cutpaste": CutPaste,': '    "cutpaste": CutPaste,\n    "turning": Turning,',
        },
    },
    "sink": {
        "src/vqi/sinks/registry.py": {
            '    ("https", "http"): "vqi.sinks.webhook",': '    ("https", "http"): "vqi.sinks.webhook",\n'
            '    ("lines",): "vqi.sinks.lines",',
        },
    },
    "mirror": {
        "src/vqi/mirrors/registry.py": {
            '    "mlflow": Kind(': '    "lines": Kind("Lines", "VQI_LINES", "vqi.mirrors.lines_mirror"),\n'
            '    "mlflow": Kind(',
        },
    },
    "step": {
        "src/vqi/config.py": {
            "class SslFinetune(": '''class CountImages(StepConfig):
    """Count the images of a split."""

    split: Literal["train", "test"] = Field("train", description="the split whose images are counted")


class SslFinetune(''',
            "    DatasetDownload, Preprocess, ": "    DatasetDownload, CountImages, Preprocess, ",
        },
        "pipelines/training.py": {
            "from vqi_components.dataset_download": """from vqi_components.count_images.component import count_images
from vqi_components.dataset_download""",
            "    backbone: str = _BACKBONE": """    split: str = config.defaults(config.CountImages).split,
    backbone: str = _BACKBONE""",
            "        tuned = ssl_finetune(": """        images = prepared.outputs["images"]
        _sized(count_images(images=images, split=split), _SMALL)
        tuned = ssl_finetune(""",
        },
    },
}


class Copy:
    """A scratch copy of the repository with an addition."""

    def __init__(self, root: Path, addition: str) -> None:
        self.root, self.addition = root, addition
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, root / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, root / name)
        for folder in ("src", "components"):
            if (MADE_UP / addition / folder).is_dir():
                shutil.copytree(MADE_UP / addition / folder, root / folder, dirs_exist_ok=True)
        for name, edits in EDITS[addition].items():
            text = (root / name).read_text()
            for found, edited in edits.items():
                assert text.count(f"\n{found}") == 1, f"{name} has {text.count(found)} lines '{found}...': adapt EDITS"
                text = text.replace(f"\n{found}", f"\n{edited}")
            (root / name).write_text(text)

    def python(self, *args: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run the copy's code; when it fails the test fails with its output."""
        paths = f"{self.root / 'src'}{os.pathsep}{self.root}"
        done = subprocess.run(
            [sys.executable, *map(str, args)], cwd=self.root, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": paths, **environment},
        )  # fmt: skip
        assert done.returncode == 0, f"{args[:2]}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr}"
        return done

    def touched(self) -> list[str]:
        """The files that are not as they are in the repository."""
        files = [path for name in COPIED for path in [self.root / name, *(self.root / name).rglob("*")]]
        names = [str(path.relative_to(self.root)) for path in files if path.is_file() and path.suffix != ".pyc"]
        return sorted(name for name in names if not same(self.root / name, ROOT / name))

    def report(self) -> int:
        """Print what was touched; returns how many files a person wrote."""
        touched = self.touched()
        generated = [name for name in touched if name.startswith(GENERATED)]
        written = [name for name in touched if name not in generated]
        print(f"\nadding a {self.addition} touches {len(written)} files: {', '.join(written)}")
        print(f"    and {len(generated)} generated ones: {', '.join(generated) or 'none'}")
        return len(written)


def same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


@pytest.fixture
def add(tmp_path: Path) -> Callable[[str], Copy]:
    """``add("source")``: a copy with the made-up source."""

    def adding(addition: str) -> Copy:
        (tmp_path / "copy").mkdir()
        return Copy(tmp_path / "copy", addition)

    return adding


def flags(values: Mapping[str, object]) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]


def prepared(copy: Copy, source: Path, folder: Path) -> Path:
    """The images of a category, made by the copy's own steps; in ``folder``."""
    store = {"VQI_STORE": (folder / "store").as_uri()}
    written = {"source": f"folder:{source}", **output_files("dataset_download", folder)}
    copy.python("-m", "vqi_components.dataset_download", *flags(written), **store)
    (category,) = json.loads((folder / "categories").read_text())
    inputs = {"dataset": (folder / "dataset").read_text(), "category": category, "image_size": 32}
    outputs = output_files("preprocess", folder)
    copy.python("-m", "vqi_components.preprocess", *flags({**inputs, **outputs}), **store)
    return folder / "images"


def test_a_copy_without_an_addition_is_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EDITS, "nothing", {})
    assert Copy(tmp_path, "nothing").touched() == []


SCORES = """
import sys
from pathlib import Path
from vqi.artifacts.detector import load_detector
from vqi.artifacts.features import load_features
from vqi.detectors.aggregate import image_scores
from vqi.detectors.registry import detector_of
features, artifact = load_features(Path(sys.argv[1])), load_detector(Path(sys.argv[2]))
maps = detector_of(artifact, features.test).anomaly_maps(features.test)
scores = image_scores(maps, artifact.record.settings.aggregate)
print(artifact.record.kind, *(scores > artifact.record.threshold.value))
"""


def test_a_detector_is_a_module_and_a_line(add: Callable[[str], Copy], tmp_path: Path) -> None:
    """It is fitted and calibrated by the step, and what that wrote scores: the far image alone is anomalous."""
    copy = add("detector")
    random = np.random.default_rng(0)
    good, far = random.normal(size=(40, 6)), np.full((1, 6), 9.0)
    test = np.concatenate([np.zeros((1, 6)), far])
    save_features(tmp_path / "features", Features(maps_of(good), np.arange(40), maps_of(test), features_record()))
    paths = {"features": tmp_path / "features", "detector": tmp_path / "detector"}
    copy.python("-m", "vqi_components.pca_fit", *flags({"kind": "distance", **paths}))
    assert copy.python("-c", SCORES, *paths.values()).stdout.split() == ["distance", "False", "True"]
    assert copy.report() == 2


def test_a_source_is_a_module_and_a_line(add: Callable[[str], Copy], tmp_path: Path) -> None:
    copy = add("source")
    written = {"source": "drawn:5", **output_files("dataset_download", tmp_path)}
    command = ["-m", "vqi_components.dataset_download", *flags(written)]
    copy.python(*command, VQI_STORE=(tmp_path / "store").as_uri())
    assert json.loads((tmp_path / "categories").read_text()) == ["disc"]
    files = json.loads((tmp_path / "catalog").read_text())["categories"]["disc"]["files"]
    assert files == {"train/good": 5, "test/good": 5, "test/hole": 1}
    assert copy.report() == 2


ROW = """
import sys
from pathlib import Path
from vqi.sinks.interface import Credentials
from vqi.sinks.outbox import Outbox
from vqi.sinks.registry import sink_at
address = "lines://here" + sys.argv[1]
with Outbox(address, sink_at(address, Credentials()), Path(sys.argv[2]), 10) as outbox:
    outbox.put("bracket", 3, {"path": "a.png"})
"""


def test_a_sink_is_a_module_and_a_line(add: Callable[[str], Copy], tmp_path: Path) -> None:
    copy = add("sink")
    copy.python("-c", ROW, tmp_path / "rows", tmp_path / "queue")
    assert json.loads((tmp_path / "rows").read_text())["path"] == "a.png"
    assert copy.report() == 2


def test_a_mirror_is_a_module_and_a_line(add: Callable[[str], Copy], tmp_path: Path) -> None:
    """It has an option of ``vqi models mirror``, and is fed where its variable names a server."""
    copy, store = add("mirror"), f"file://{tmp_path}/store"
    files = package(tmp_path / "package", 1)
    write_metrics(files["metrics"], metrics(recall=0.5))
    model = publish(open_store(store), **files).category
    copy.python(
        "-c", "from vqi_pipelines.cli import main; main()", "models", "mirror", store, "--lines", tmp_path / "a"
    )
    feed = "import os, sys; from vqi.mirrors.feeding import feed; feed(sys.argv[1], os.environ)"
    assert copy.python("-c", feed, model.uri, VQI_LINES=str(tmp_path / "b")).stderr == ""
    assert [(tmp_path / name).read_text() for name in "ab"] == ["parts.mono 1 0.5\n"] * 2
    assert copy.report() == 2


@pytest.mark.slow
def test_a_method_is_its_settings_and_a_module(
    add: Callable[[str], Copy], make_defect_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    copy = add("method")
    images = prepared(copy, make_defect_dataset(tmp_path / "parts", ["bracket"], size=32), tmp_path)
    settings = {
        "method": "turning",
        "epochs": 1,
        "finetune": '{"batch_size": 4, "dropout": 0.2}',
        "weights": "random",
        "layer": "blocks.1",
        "images": images,
    }
    outputs = {name: tmp_path / name for name in ("backbone", "parent", "training_log")}
    copy.python("-m", "vqi_components.ssl_finetune", *flags({**settings, **outputs}))
    assert "accuracy" in outputs["training_log"].read_text()
    assert outputs["backbone"].stat().st_size > 1000
    assert copy.report() == 2


PROGRAMS = """
import runpy, sys
from vqi_pipelines.cli import main
tiny, source, runs = sys.argv[1:]
for arguments, program in (
    ([tiny, source, runs], lambda: runpy.run_path(tiny, run_name="__main__")),
    (["vqi", "compile"], main),
    (["generate"], lambda: runpy.run_module("chart.generate", run_name="__main__")),
):
    sys.argv = arguments
    try:
        program()
    except SystemExit as end:
        assert not end.code, (arguments, end.code)
"""


@pytest.mark.slow
def test_a_step_is_its_settings_its_folder_and_a_call(
    add: Callable[[str], Copy], make_defect_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    copy = add("step")
    parts = make_defect_dataset(tmp_path / "parts", ["bracket"], train=7, size=32)
    arguments = MADE_UP / "step" / "tiny.py", f"folder:{parts}", tmp_path / "runs"
    copy.python("-c", PROGRAMS, *arguments, VQI_STORE=(tmp_path / "store").as_uri())  # one process: kfp takes seconds
    (count,) = (tmp_path / "runs" / "latest").glob("bracket/count-images/count")
    assert count.read_text() == "7"
    for name in ("manifests/argo/training.yaml", "manifests/kubeflow/training.yaml", "chart/files/training.yaml"):
        assert "vqi_components.count_images" in (copy.root / name).read_text()
    assert "  split: train\n" in (copy.root / "chart" / "values.yaml").read_text()
    copy.python("-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache")
    assert copy.report() <= 6
