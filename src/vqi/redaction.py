"""Texts for people and for files, without the secrets that addresses may hold: logins and signatures."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

HIDDEN = "***"
_SCHEME = string.ascii_letters + string.digits + "+.-"
# The look back and the possessive quantifier: a long text without an address is read once, not from each letter on.
_ADDRESS = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z0-9+.-]++://[^\s'\"<>]*")
_DIGEST = re.compile(r"#sha256=[0-9a-f]{64}$")
_WEB = ("http", "https", "ftp", "ftps")  # the scheme may have something before it, as in a text that was cut
_SHORTEST, _SHORTEST_VALUE = 4, 8  # characters of a login, of a value in a query; others appear elsewhere, too


def redacted(text: str) -> str:
    """A text whose addresses have ``***`` in the place of a login, and of the query of a web address.

    ``https://me:pass@host/a.zip?X-Amz-Signature=1`` -> ``https://***@host/a.zip?***``.
    """
    return _ADDRESS.sub(lambda match: _parse(match[0]).redacted, text) if "://" in text else text


def shown(url: str) -> str:
    """A url for people, without the login and the signature that may be in it."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def shown_line(text: str) -> str:
    """A text as one line for a terminal or a log: without secrets; control characters as escapes, such as ``\\x1b``."""
    flat = " ".join(redacted(text).splitlines())
    return "".join(repr(one)[1:-1] if _is_control(one) else one for one in flat)


def redacted_value(value: Any) -> Any:
    """A JSON value whose texts are redacted. A text with one address, such as ``csv:https://host/a``, is it to its end,
    whatever letters it holds."""
    if isinstance(value, str):
        return redacted("".join(part if isinstance(part, str) else part.redacted for part in _whole(value)))
    if isinstance(value, Mapping):
        return {key: redacted_value(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted_value(part) for part in value]
    return value


def _is_control(one: str) -> bool:
    return unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def secrets_in(value: Any) -> set[str]:
    """The texts that must not be shown in a JSON value, encoded as they are and decoded."""
    if isinstance(value, str):
        whole = [part for part in _whole(value) if isinstance(part, _Address)]
        found = {secret for one in [*whole, *map(_parse, _ADDRESS.findall(value))] for secret in one.secrets()}
        return {secret for secret in found | {unquote(one) for one in found} if len(secret) >= _SHORTEST}
    if isinstance(value, Mapping):
        return secrets_in(list(value.values()))
    if isinstance(value, (list, tuple)):
        return {secret for part in value for secret in secrets_in(part)}
    return set()


@dataclass(frozen=True)
class _Address:
    scheme: str
    login: str  # with the @ behind it
    place: str  # host and path
    query: str  # of a web address, with the ? or # before it
    digest: str  # of a file, with the # before it

    @property
    def redacted(self) -> str:
        """The address without its secrets."""
        login = f"{HIDDEN}@" if self.login else ""
        query = f"{self.query[0]}{HIDDEN}" if len(self.query) > 1 else self.query
        return f"{self.scheme}://{login}{self.place}{query}{self.digest}"

    def secrets(self) -> Iterator[str]:
        """The login and its password, the query and its values."""
        yield self.login[:-1]
        yield self.login[:-1].partition(":")[2]
        yield self.query[1:]
        values = (pair.partition("=")[2] for pair in re.split("[&#]", self.query[1:]))
        yield from (value for value in values if len(value) >= _SHORTEST_VALUE)


def _parse(address: str) -> _Address:
    scheme, _, rest = address.partition("://")
    digest = match[0] if (match := _DIGEST.search(rest)) else ""
    rest = rest.removesuffix(digest)
    login, at, place = ("", "", rest) if scheme == "file" else _split_login(rest)
    query = match[0] if scheme.lower().endswith(_WEB) and (match := re.search(r"[?#].*", place, re.DOTALL)) else ""
    return _Address(scheme, login + at, place.removesuffix(query), query, digest)


def _split_login(rest: str) -> tuple[str, str, str]:
    """The login, the @ and what comes behind it; none of them where there is no login."""
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    name, colon, port = host.partition(":")
    if "@" not in host and name and colon and not port.isdecimal():
        host = rest  # a password with a letter in it that should have been encoded
    login, at, host_alone = host.rpartition("@")
    return login, at, host_alone + rest[len(host) :]


def _whole(text: str) -> list[str | _Address]:
    """A text as what is before its address and that; one without an address, or JSON, as it is."""
    before, separator, _ = text.partition("://")
    start = len(before.rstrip(_SCHEME))
    if not separator or start == len(before) or text.lstrip().startswith(("[", "{")):
        return [text]
    return [text[:start], _parse(text[start:])]
