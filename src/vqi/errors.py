"""Errors that a user can mend: one line that names the thing, what was expected, what was got, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Exit codes of every command and step.
BAD_INPUT = 2  # final: it would be as bad the next time
UNAVAILABLE = 75  # EX_TEMPFAIL of sysexits.h: worth another try


class VqiError(Exception):
    """Bad input or a bad environment. Commands print it as one line on stderr and end with exit code `BAD_INPUT`."""


class UnavailableError(VqiError):
    """What is needed does not answer just now: the same command may go well later. Steps end with `UNAVAILABLE`."""


def unknown(kind: str, name: str, known: Iterable[str]) -> VqiError:
    """The error for an unknown name, with a did-you-mean.

    Returns:
        ``unknown backbone 'resnet5': did you mean 'resnet50'?``, or the list of known names when none is near.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names) or 'none'}"
    return VqiError(f"unknown {kind} '{name}': {hint}")
