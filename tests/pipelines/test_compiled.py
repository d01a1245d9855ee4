"""The compiled pipeline: what is checked in is what it compiles to."""

from pathlib import Path

from pipelines.compiled import training_ir, write_manifests

MANIFESTS = Path(__file__).parents[2] / "manifests"


def test_manifests_are_up_to_date(tmp_path: Path) -> None:
    (written,) = write_manifests(tmp_path)
    golden = MANIFESTS / written.relative_to(tmp_path)
    assert written.read_text() == golden.read_text(), "run 'make compile' and commit the result"


def test_compiling_twice_gives_the_same() -> None:
    assert training_ir() == training_ir()
