"""The pipelines of a user's file: a Python file as ``kfp dsl compile --py`` takes it, or what kfp compiled."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from vqi.errors import VqiError, unknown
from vqi.system.os_errors import reason
from vqi_pipelines.compiled import ir_of
from vqi_pipelines.ir.reader import pipeline_name

if TYPE_CHECKING:
    from kfp.dsl.base_component import BaseComponent

_COMPILED = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Defined:
    """A pipeline of a file."""

    name: str
    ir: str  # YAML, one or two documents


def defined_in(file: Path) -> list[Defined]:
    """The pipelines of a file, compiled, in the order of the file.

    Args:
        file: Python, or a pipeline that kfp 2 compiled.

    Raises:
        VqiError: It is neither, it cannot be read or imported, it defines no pipeline, or two of one name.
    """
    try:
        if not file.is_file():
            raise VqiError(
                f"{file}: expected a Python file with a pipeline, or a compiled pipeline: there is no such file"
            )
        if file.suffix == ".py":
            found = [_compiled(file, component) for component in pipelines_of(file)]
        elif file.suffix in _COMPILED:
            text = file.read_text(encoding="utf-8")
            found = [Defined(pipeline_name(text), text)]
        else:
            raise VqiError(f"{file}: expected a Python file (.py), or a compiled pipeline ({', '.join(_COMPILED)})")
    except (OSError, UnicodeDecodeError) as error:
        raise VqiError(f"{file}: it cannot be read ({reason(error)})") from error
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise VqiError(f"{file}: it defines {names.count(name)} pipelines of the name '{name}': rename all but one")
    return found


def chosen_of(file: Path, name: str | None) -> Defined:
    """The pipeline of that name in a file; without a name its only one.

    Raises:
        VqiError: There is none of that name, or several and no name; or as ``defined_in``.
    """
    found = {one.name: one for one in defined_in(file)}
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name is None:
        raise VqiError(f"{file}: it defines {len(found)} pipelines: name one with --pipeline: {', '.join(found)}")
    if name not in found:
        raise VqiError(f"{file}: {unknown('pipeline', name, found)}")
    return found[name]


def _compiled(file: Path, component: BaseComponent) -> Defined:
    try:
        text = ir_of(component)
    except Exception as error:  # whatever kfp's compiler says about it
        raise VqiError(f"{file}: '{component.name}': {_one_line(error)}") from error
    return Defined(pipeline_name(text), text)


# -------------------------------------------------------------------------------------------------------- Python files


def pipelines_of(file: Path) -> list[BaseComponent]:
    """The pipelines of a Python file: its own, otherwise the only one that it imports, otherwise its only component.

    The file is executed as a module of its own name that can import from its folder, also relatively. What it prints
    goes to stderr. It has no arguments, and may end with ``sys.exit()``.

    Raises:
        VqiError: It fails, or defines none of these.
    """
    from kfp.dsl.base_component import BaseComponent
    from kfp.dsl.graph_component import GraphComponent

    with _surroundings(file):
        module = _executed(file)
        values = list(
            {id(value): value for value in vars(module).values() if isinstance(value, BaseComponent)}.values()
        )
        pipelines = [value for value in values if isinstance(value, GraphComponent)]
        own: list[BaseComponent] = [one for one in pipelines if not _is_imported(one, module)]
    if own:
        return own
    steps = [value for value in values if not isinstance(value, GraphComponent)]
    for found in (pipelines, steps):
        if len(found) == 1:
            return [*found]
    also = (
        f" and {len(pipelines) or len(steps)} {'imported pipelines' if pipelines else 'components'}" if values else ""
    )
    raise VqiError(f"{file}: expected a pipeline, found none{also}: define one with @dsl.pipeline")


def _is_imported(pipeline: BaseComponent, module: ModuleType) -> bool:
    """Whether another module has it under some name; one that a function of another module made is not imported."""
    owner = sys.modules.get(pipeline.pipeline_func.__module__)
    return owner is not None and owner is not module and any(value is pipeline for value in vars(owner).values())


def _executed(file: Path) -> ModuleType:
    """The module of a file.

    Raises:
        VqiError: It fails.
    """
    module = None
    try:
        name = _module_name(file)
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None:
            raise VqiError(f"{file}: Python cannot import it")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses, among others, look it up
        spec.loader.exec_module(module)
    except SystemExit as error:
        if error.code not in (None, 0) or module is None:
            raise VqiError(
                f"{file}: it ended with sys.exit({error.code!r}): what is for the command line belongs under "
                "if __name__ == '__main__'"
            ) from error
    except VqiError:
        raise
    except Exception as error:  # anything that the file raises
        raise VqiError(f"{file}: {_one_line(error)}") from error
    return module


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"


@contextmanager
def _surroundings(file: Path) -> Iterator[None]:
    """What a file finds when it is executed, and may change: the path of imports, arguments, folder, modules."""
    path, arguments, folder, modules = list(sys.path), sys.argv, Path.cwd(), set(sys.modules)
    root = file.absolute().parents[max(_levels(file), 1) - 1]
    sys.path.insert(0, str(file.parent.absolute()))
    sys.argv = [str(file)]
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path[:], sys.argv = path, arguments
        os.chdir(folder)
        # The next file may have a neighbour of the same name.
        for name in [name for name in set(sys.modules) - modules if _is_below(sys.modules[name], root)]:
            del sys.modules[name]


def _is_below(module: ModuleType, folder: Path) -> bool:
    """Whether a module is in a folder; Python itself and the installed packages may be, too, and do not count."""
    places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
    paths = [Path(place) for place in places if place is not None]
    installed = (sys.prefix, sys.base_prefix)
    return any(path.is_relative_to(folder) and not any(map(path.is_relative_to, installed)) for path in paths)


def _module_name(file: Path) -> str:
    """The name to execute a file under, which no other module has; with relative imports it is in a package."""
    levels = _levels(file)
    if not levels:
        return _free(file.stem)
    root, *inner = reversed([*file.absolute().parents][:levels])
    package = _free(root.name.replace(".", "_") or "_")
    _make_package(package, root)
    for folder in inner:
        package = f"{package}.{folder.name}"
        importlib.import_module(package)
    return f"{package}.{file.stem}"


def _free(name: str) -> str:
    """The name, with ``_`` before it as long as a module of that name is loaded or is part of Python."""
    while name.partition(".")[0] in {*sys.modules, *sys.stdlib_module_names}:
        name = f"_{name}"
    return name


def _levels(file: Path) -> int:
    """How many folders up the relative imports of a file lead: 1 is its own, 0 means that it has none."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError, RecursionError):
        return 0  # whoever executes it is told
    levels = max((node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)), default=0)
    return min(levels, len(file.absolute().parents) - 1)


def _make_package(name: str, folder: Path) -> None:
    """Import a folder as a package of this name, with its ``__init__.py`` if there is one."""
    face = folder / "__init__.py"
    if face.is_file():
        spec = importlib.util.spec_from_file_location(name, face, submodule_search_locations=[str(folder)])
    else:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
    if spec is None:
        raise VqiError(f"{folder}: Python cannot import it as a package")
    sys.modules[name] = package = importlib.util.module_from_spec(spec)
    if spec.loader and face.is_file():
        spec.loader.exec_module(package)
