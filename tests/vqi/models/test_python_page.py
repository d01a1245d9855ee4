"""docs/python.md: its code runs as it is written, from top to bottom."""

import re
from pathlib import Path

import pytest

from tests.conftest import write_defect_dataset
from vqi.models.fitting import fit

PAGE = Path(__file__).parents[3] / "docs" / "python.md"


def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_defect_dataset(tmp_path / "parts", ["bracket"], train=12, good=4, defective=3, size=64)
    fit("parts/bracket", image_size=64, target_fpr=0.1).save("store/models/parts/bracket/v1")
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 8
    namespace: dict[str, object] = {}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), namespace)  # noqa: S102 - our own page
    assert (tmp_path / "scratch.png").is_file()
    flagged = namespace["flagged"]
    assert isinstance(flagged, list)
    assert flagged
