"""The names of backbones, read from the sources of the packages that bring them: to import these takes seconds."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path

from vqi.errors import VqiError, unknown

_PACKAGES = {"timm": "**/*.py", "torchvision": "*.py"}  # the files below `models` whose networks vqi.network builds
_REGISTERED = re.compile(rb"^@register_model\b[^\n]*\n(?:@[^\n]*\n)*def (\w+)\(", re.MULTILINE)


def backbone_problem(name: str) -> VqiError | None:
    """What is wrong with the name of a backbone; None where it may be right, or where no package is here to know it.

    A network by an older name, or by one with the tag of its weights, may be right: building it tells.
    """
    library, _, short = name.rpartition("/")
    if library not in ("", *_PACKAGES):
        return VqiError(f"unknown backbone '{name}': expected a name, or one behind timm/ or torchvision/")
    packages = [library] if library else list(_PACKAGES)
    if not all(map(_sources, packages)):
        return None
    names = backbone_names(packages)
    if short in names or ("timm" in packages and _is_in_timm(short)):
        return None
    return unknown("backbone", short, names)


def backbone_names(packages: list[str] | None = None) -> set[str]:
    """The names that packages list, of those that are installed; of all packages when None."""
    found = (_REGISTERED.findall(text) for package in packages or _PACKAGES for text in _sources(package))
    return {name.decode() for names in found for name in names}


def _is_in_timm(name: str) -> bool:
    """Whether timm has a network of this name with a tag behind it, or names one so that was renamed since."""
    plain = name.partition(".")[0]
    quoted = (f"'{plain}'".encode(), f'"{plain}"'.encode())
    return plain in backbone_names(["timm"]) or any(text in source for source in _sources("timm") for text in quoted)


@cache
def _sources(package: str) -> tuple[bytes, ...]:
    """The texts of the modules with networks; none where the package is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return ()
    return tuple(path.read_bytes() for path in sorted((Path(spec.origin).parent / "models").glob(_PACKAGES[package])))
