"""Names of people as parts of keys, reversibly: two names never share a key, and a name is read back from its key.

An ordinary name is its own key. What a file system, a server of objects or XML takes for something else is written as
in an address, ``%`` and two hex digits per byte of UTF-8: ``%`` itself, both slashes, control characters, a leading
dot or blank (hidden, ``..``) and a trailing one (cut off by some).
"""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote

from vqi.errors import VqiError

_RESERVED = "%/\\"
_NOT_IN_XML = {"Cc", "Cs", "Zl", "Zp"}  # controls, surrogates, and breaks of lines and paragraphs
_SURROGATES = "surrogatepass"  # a file name that is not UTF-8 has some


def key_of(name: str) -> str:
    """A name as one part of a key.

    Raises:
        VqiError: It is empty.
    """
    if not name:
        raise VqiError("a name is empty: expected one with at least one letter")
    last = len(name) - 1
    return "".join(_written_out(one) if _means_else(one, place in (0, last)) else one for place, one in enumerate(name))


def name_of(key: str) -> str:
    """The name that ``key_of`` made a part of a key of."""
    return unquote(key, errors=_SURROGATES)


def _written_out(one: str) -> str:
    return "".join(f"%{byte:02X}" for byte in one.encode("utf-8", _SURROGATES))


def _means_else(one: str, at_an_end: bool) -> bool:
    if one in _RESERVED or unicodedata.category(one) in _NOT_IN_XML or ord(one) & 0xFFFE == 0xFFFE:
        return True
    return at_an_end and (one == "." or one.isspace())
