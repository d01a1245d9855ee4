"""One run of the whole pipeline, which all tests of this folder share."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.whole_runs import CATEGORIES, FAST, run


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory, make_defect_dataset: Callable[..., Path]) -> Path:
    """Two categories, of which the second has no test images."""
    folder = tmp_path_factory.mktemp("synthetic") / "parts"
    make_defect_dataset(folder, CATEGORIES, train=24, good=6, defective=5, size=96)
    for name in ("test", "ground_truth"):
        shutil.rmtree(folder / CATEGORIES[1] / name)
    return folder


@pytest.fixture(scope="session")
def trained(parts: Path) -> Path:
    """The folder in which the pipeline ran once over the parts; store and runs are in it."""
    done = run(parts.parent, source="folder:parts", **FAST)
    assert done.returncode == 0, done.stdout + done.stderr
    return parts.parent
