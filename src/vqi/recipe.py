"""The recipe of a model: the parameters and the code that make it of photographs. Equal recipes and equal photographs
make equal models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires
from importlib.resources import files
from importlib.resources.abc import Traversable

from vqi.config import DatasetDownload, Evaluate, FeatureExtract, PcaFit, Preparation, Promotion, SslFinetune
from vqi.digests import digest_json, sha256_bytes

_MODELS = (Preparation, SslFinetune, FeatureExtract, PcaFit, Evaluate, Promotion)
_LETTERS = 16  # of each digest


def recipe_of(settings: DatasetDownload, packages: Iterable[str]) -> str:
    """``<parameters>.<code>``: digests of the parameters of all steps after the first one, with their defaults, and of
    the code.

    Args:
        settings: The parameters.
        packages: Whose code it is, by their names; of others, the versions that vqi requires count.
    """
    names = {name for model in _MODELS for name in model.model_fields}
    parameters = {name: value for name, value in settings.in_full().items() if name in names}
    return f"{digest_json(parameters)[:_LETTERS]}.{_code(packages)[:_LETTERS]}"


def differences(old: str, new: str) -> str:
    """What two recipes differ in, for people."""
    parts = zip(("the parameters", "the code of vqi"), old.split("."), new.split("."), strict=False)
    return " and ".join(what for what, before, now in parts if before != now)


def _code(packages: Iterable[str]) -> str:
    try:
        required = sorted(requires("vqi") or ())
    except PackageNotFoundError:  # run from its sources
        required = []
    found = [[f"{name}/{path}", digest] for name in packages for path, digest in sorted(_files(files(name), ""))]
    return digest_json([required, found])


def _files(folder: Traversable, inside: str) -> Iterator[tuple[str, str]]:
    """The files of a package with their digests, without what Python compiled of them."""
    for one in folder.iterdir():
        if one.is_dir() and one.name != "__pycache__":
            yield from _files(one, f"{inside}{one.name}/")
        elif one.is_file() and not one.name.endswith(".pyc"):
            yield f"{inside}{one.name}", sha256_bytes(one.read_bytes())
