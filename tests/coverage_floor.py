"""Branch coverage of what does not use torch, by package, against a minimum: ``python -m tests.coverage_floor``.

These are all packages except those that the import contract about torch in pyproject.toml exempts. Reads
``.coverage``, which ``COVERAGE=yes make test`` wrote.
"""

from __future__ import annotations

import io
import sys
import tomllib
from pathlib import Path

import coverage
from coverage.exceptions import NoDataError

ROOT = Path(__file__).parents[1]
FLOOR = 95.0  # percent of lines and branches


def main() -> int:
    """Print a line per package; the exit code is 1 where one of them is below the minimum."""
    data = coverage.Coverage()
    data.load()
    low = []
    for package in packages():
        covered = percent(data, package)
        low += [package] if covered < FLOOR else []
        print(f"{package:36} {covered:6.1f} %{'  below the floor' if covered < FLOOR else ''}")
    if low:
        print(f"error: coverage below {FLOOR} %: {', '.join(low)}: test what is not reached", file=sys.stderr)
    return 1 if low else 0


def torch_contract() -> dict[str, list[str]]:
    """The import contract that says where torch is imported: the one that closes the rooms that run networks."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (contract,) = (one for one in contracts if "vqi.network" in one.get("forbidden_modules", ()))
    return dict(contract)


def packages() -> list[str]:
    """The modules and packages of the library, and the steps, that do without torch."""
    rules = torch_contract()["ignore_imports"]
    importers = {rule.partition(" -> ")[0].removesuffix(".*").removesuffix(".__main__") for rule in rules}
    found = [f"{root}.{name}" for root in ("vqi", "vqi_components") for name in children(ROOT / "src" / root)]
    return [name for name in found if name not in importers]


def children(folder: Path) -> list[str]:
    """The modules and packages in a package, in order."""
    rooms = {path.parent.name for path in folder.glob("*/__init__.py")}
    return sorted(rooms | {path.stem for path in folder.glob("*.py")} - {"__init__"})


def percent(data: coverage.Coverage, package: str) -> float:
    """How much of the lines and branches of a module, or of all modules of a package, was run."""
    place = (ROOT / "src" / package.replace(".", "/")).resolve()  # two of them are links
    include = f"{place}/*" if place.is_dir() else f"{place}.py"
    try:
        return data.report(include=[include], file=io.StringIO())
    except NoDataError:
        return 0.0  # none of it was run


if __name__ == "__main__":
    sys.exit(main())
