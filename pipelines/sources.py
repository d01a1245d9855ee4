"""The modules of the project that other modules import, read from their sources without importing anything.

Every import of a module counts, also within a function. ``import_module(f"some.package.{name}")``, whose name is made
at run time, counts as all modules of that package. What is imported only for types does not count.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vqi.digests import digest_json

OWN_PACKAGES = ("vqi", "vqi_components", "vqi_pipelines")  # whose code counts; for other packages the version counts


@dataclass(frozen=True)
class Source:
    """A module of the project."""

    path: Path
    importer: str  # the module that imports it; empty for a requested one


def modules_of(entries: Iterable[str]) -> dict[str, Source]:
    """The modules ``entries``, their packages, and all modules of the project that these import, by name."""
    found: dict[str, Source] = {}
    for entry in entries:
        _collect(entry, "", found)
    return found


def digest_of(modules: dict[str, Source]) -> str:
    """The digest of modules: their names, and their contents with those of the packages' other files, as templates."""
    return digest_json([[name, _content_digest(source.path)] for name, source in sorted(modules.items())])


@cache
def packages_digest() -> str:
    """The digest of the versions of all installed packages, from their metadata folders, and of Python."""
    folders = {Path(entry) for entry in sys.path if entry}
    versions = {one.name for folder in folders for kind in ("*.dist-info", "*.egg-info") for one in folder.glob(kind)}
    return digest_json([sys.version, *sorted(versions)])


def _collect(module: str, importer: str, found: dict[str, Source]) -> None:
    if module.split(".")[0] not in OWN_PACKAGES or module in found:
        return
    parent = module.rpartition(".")[0]
    if parent:
        _collect(parent, importer, found)
    path = _source_of(module)
    if path is None:  # a name inside a module
        return
    found[module] = Source(path, importer)
    for name in _imports_of(path):
        _collect(name, module, found)


@cache
def _source_of(module: str) -> Path | None:
    """The file of a module of the project, found in its package, importing only the package."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    base = Path(spec.origin).parent.joinpath(*rest)
    for candidate in (base / "__init__.py", base.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


# Python 3.11 counts the depth of all parsing threads together, and then fails (SystemError).
_PARSING = threading.Lock()


@cache
def _imports_of(path: Path) -> tuple[str, ...]:
    """The names that a module imports; some of them are names inside modules."""
    text = path.read_bytes()
    with _PARSING:
        tree = ast.parse(text)
    return tuple(_imports(tree, with_calls=b"import_module" in text))


def _imports(tree: ast.AST, with_calls: bool) -> Iterator[str]:
    """See ``_imports_of``; of a module without such calls only the statements are read, a fifth of the nodes."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        children = ast.iter_child_nodes(node)
        if isinstance(node, ast.If) and _is_for_types(node.test):
            children = iter(node.orelse)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            yield from _made_at_run_time(node)
        left += [child for child in children if with_calls or not isinstance(child, ast.expr)]


def _is_for_types(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def _made_at_run_time(call: ast.Call) -> Iterator[str]:
    """What ``import_module("a.b")`` imports; all modules of ``a.b`` for ``import_module(f"a.b.{name}")``."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name != "import_module" or not call.args:
        return
    argument = call.args[0]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value
    elif isinstance(argument, ast.JoinedStr) and isinstance(argument.values[0], ast.Constant):
        package, dot, _ = str(argument.values[0].value).rpartition(".")
        if dot and package.split(".")[0] in OWN_PACKAGES:
            yield from _all_of(package)


def _all_of(package: str) -> Iterator[str]:
    """A package and all modules in it."""
    yield package
    face = _source_of(package)
    if face is not None and face.name == "__init__.py":
        for path in sorted(face.parent.rglob("*.py")):
            yield ".".join((package, *path.relative_to(face.parent).with_suffix("").parts)).removesuffix(".__init__")


def _content_digest(path: Path) -> str:
    """Digest of a module's file and of the other files next to it, such as templates."""
    digest = hashlib.sha256(path.read_bytes())
    if path.name == "__init__.py":
        for other in sorted(p for p in path.parent.iterdir() if p.is_file() and p.suffix != ".py"):
            digest.update(other.read_bytes())
    return digest.hexdigest()
