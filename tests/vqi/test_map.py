"""The map in the docstring of vqi matches the tree, and what it says about torch matches the import contract."""

import re
from pathlib import Path

import vqi
from tests.coverage_floor import torch_contract

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^    ([a-z_.]+)(/?) +(\[T\])?", re.MULTILINE)


def mapped() -> list[tuple[str, bool, bool]]:
    """Each line of the map: a name, whether it is shown as a room, whether it is marked as importing torch."""
    assert vqi.__doc__
    return [(name, bool(room), bool(mark)) for name, room, mark in LINE.findall(vqi.__doc__)]


def test_every_room_and_module_is_named_once() -> None:
    library = ROOT / "src" / "vqi"
    rooms = {path.parent.name for path in library.glob("*/__init__.py")}
    ground = {path.stem for path in library.glob("*.py")} - {"__init__"}
    lines = [(name, room) for name, room, _ in mapped() if "." not in name]
    assert sorted(lines) == sorted([(name, True) for name in rooms] + [(name, False) for name in ground])


def test_the_marks_are_those_of_the_import_contract() -> None:
    importers = {rule.partition(" -> ")[0] for rule in torch_contract()["ignore_imports"]}
    excepted = {name.removeprefix("vqi.").removesuffix(".*") for name in importers if name.startswith("vqi.")}
    assert {name for name, _, mark in mapped() if mark} == excepted
