"""Secrets among a step's parameters, such as the login in an address: no file keeps them, no log shows them, and no
command line of a step of this project or of a Python component has them. Another program takes its parameters where its
author put them, which is its command line: a run says so."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from vqi.redaction import HIDDEN, redacted, redacted_value, secrets_in
from vqi_components.environment import SECRETS
from vqi_pipelines.ir.python_components import is_python_component, with_parameters_of
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
    """Whether a command takes secrets from its environment: a step of this project, and a Python component; others have
    them in their command."""
    return is_python_component(command) or _is_own(command)


def secretly(command: Sequence[str], parameters: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
    """A command that is redacted as one that gets the whole values of its secret parameters; the variable for that."""
    whole = with_secrets(parameters)
    if not whole or not takes_secrets(command):
        return list(command), {}
    if _is_own(command):
        return list(command), {SECRETS: json.dumps({name: to_text(value) for name, value in whole.items()})}
    return with_parameters_of(SECRETS, command), {SECRETS: json.dumps(whole)}


def shown_secrets(command: Sequence[str], parameters: Mapping[str, Any]) -> list[str]:
    """The parameters whose secrets are in a command: where every user of a machine sees them."""
    whole = {name: secrets_in(value) for name, value in with_secrets(parameters).items()}
    return [name for name, found in whole.items() if any(secret in text for secret in found for text in command)]


def _is_own(command: Sequence[str]) -> bool:
    return any(entry.startswith(_OWN_STEPS) for entry in entries_of(command))


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
