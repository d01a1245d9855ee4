"""Secrets among a step's parameters, such as the login in an address: no file keeps them, no log shows them, and no
command line of a step of this project has them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vqi.redaction import HIDDEN, redacted, redacted_value, secrets_in
from vqi_components.environment import SECRETS
from vqi_pipelines.ir.values import to_text
from vqi_pipelines.local.cache import entries_of

# Variables whose values no log shows, and those of which only a part is secret.
_KEYS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_TOKENS = "VQI_HTTP_TOKENS"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_OWN_STEPS = "vqi_components."


def with_secrets(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that hold a secret."""
    return {name: value for name, value in parameters.items() if redacted_value(value) != value}


def takes_secrets(command: Sequence[str]) -> bool:
    """Whether a command is a step of this project, which takes secrets from its environment; others have them in their
    command."""
    return any(entry.startswith(_OWN_STEPS) for entry in entries_of(command))


def environment_for(command: Sequence[str], parameters: Mapping[str, Any]) -> dict[str, str]:
    """The variable by which a step gets the whole values of the flags that are redacted in its command."""
    whole = {name: to_text(value) for name, value in with_secrets(parameters).items()}
    return {SECRETS: json.dumps(whole)} if whole and takes_secrets(command) else {}


class Mask:
    """Hides what is secret in lines of a log."""

    def __init__(self, parameters: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        tokens = {pair.partition("=")[2] for pair in environment.get(_TOKENS, "").split()}
        proxies = [environment.get(name, "") for proxy in _PROXIES for name in (proxy, proxy.upper())]
        keys = {environment.get(name, "") for name in _KEYS}
        known = secrets_in(parameters) | secrets_in(proxies) | tokens | keys
        words = sorted((word for word in known if word), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, words))) if words else None

    def __call__(self, line: str) -> str:
        """The line without secrets."""
        return redacted(line if self._known is None else self._known.sub(HIDDEN, line))
