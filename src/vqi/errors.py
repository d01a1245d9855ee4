"""Errors that a user can fix: one line that names the thing, what was expected, what was got, and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

# Exit codes of every command and step.
BAD_INPUT = 2  # final: it would fail the same way the next time
UNAVAILABLE = 75  # EX_TEMPFAIL of sysexits.h: worth another try

_MOST_NAMES = 10  # in one message
_MOST_LAYERS = 40
# Packages of extras that are not imported by their own names.
_IMPORTED_AS = {"mlflow": "mlflow-skinny", "paho": "paho-mqtt"}


class VqiError(Exception):
    """Bad input or a bad environment. Commands print it as one line on stderr and end with exit code `BAD_INPUT`.

    Its text is printable, whatever names it quotes.
    """

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


class UnavailableError(VqiError):
    """A service did not respond; retrying may succeed. Steps end with `UNAVAILABLE`."""


def printable(text: str) -> str:
    """Text on one line that does nothing to a terminal: control characters, line ends, what turns the direction of
    writing and bytes that are no text are written as escapes, such as ``\\x1b``."""
    return text if text.isprintable() else "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(one: str) -> str:
    byte = ord(one) - 0xDC00  # how Python keeps a byte of a file name that is not UTF-8
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else one.encode("unicode_escape").decode("ascii")


def unknown(kind: str, name: str, known: Iterable[str]) -> VqiError:
    """The error for an unknown name, with a did-you-mean.

    Returns:
        ``unknown backbone 'resnet5': did you mean 'resnet50'?``, or the first known names when none is near.
    """
    names = sorted(known)
    near = closest(name, names)
    more = f", ... and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    hint = f"did you mean '{near}'?" if near else f"known: {', '.join(names[:_MOST_NAMES]) or 'none'}{more}"
    return VqiError(f"unknown {kind} '{name}': {hint}")


def unknown_layer(layer: str, names: Sequence[str]) -> VqiError:
    """The error for a layer that is not there; it lists near ones, or the stages."""
    stages = [name for name in names if name.count(".") <= 1]
    return VqiError(
        f"{unknown('layer', layer, names)}; layers here: {', '.join(stages[:_MOST_LAYERS])} "
        "('vqi layers <backbone>' lists all)"
    )


def closest(name: str, known: Iterable[str]) -> str:
    """The known name that is meant most likely; '' where none is near."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)), "")


def not_installed(module: str | None) -> VqiError | None:
    """The error for a module of another package that is missing because an extra of this one was not installed.

    Returns:
        ``needs the package 'kfp', which is not installed: pip install 'vqi[pipelines]'``; None where no extra brings
        it, which is a defect. Where this package is present as files only, as in a container image, no extra is named.
    """
    from importlib.metadata import PackageNotFoundError, requires

    package = (module or "").partition(".")[0]
    if not package or package.startswith("vqi"):
        return None
    lacks = f"needs the package '{package}', which is not installed"
    try:
        extra = _extra_with(package, requires("vqi") or [])
    except PackageNotFoundError:
        return VqiError(f"{lacks} here")
    return VqiError(f"{lacks}: pip install 'vqi[{extra}]'") if extra else None


def _extra_with(package: str, requirements: Iterable[str]) -> str:
    """The smallest extra that brings a package, by the requirements in the installed metadata; '' for none."""
    package = _IMPORTED_AS.get(package, package)
    extras: dict[str, list[str]] = {}
    for requirement in requirements:
        if found := re.match(r"""([\w.-]+).*\bextra == ['"]([\w-]+)['"]""", requirement):
            extras.setdefault(found[2], []).append(_canonical(found[1]))
    return min(
        (name for name, brought in extras.items() if _canonical(package) in brought),
        default="",
        key=lambda name: len(extras[name]),
    )


def _canonical(name: str) -> str:
    """A package's name as package indexes compare names; what an extra brings is imported by that name, mostly."""
    return re.sub(r"[-_.]+", "-", name).lower()
