"""What a pipeline says of a step beside its graph, as annotations of its pod: ``training`` writes it, backends read it.

On a cluster they are seen on the pod and change nothing there. A key that ends with a dot is followed by the name of a
parameter, and its value is a pattern that fits the whole of that parameter's text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

STORE_ACCESS = "vqi/store"  # "write": it writes to the store of datasets and models, which it would only read otherwise
DOWNLOADS = "vqi/downloads"  # "kept": what it downloads stays in the user's cache, for the next time
OFFLINE_IF = "vqi/offline-if."  # it needs no network where one of these patterns fits
BESIDE = "vqi/beside."  # where the pattern fits, the parameter names a file that names others beside it
LESS_MEMORY = "vqi/less-memory"  # what to do so that it holds less at once, as a clause of a sentence


def fitting(annotations: Mapping[str, str], key: str, parameters: Mapping[str, Any]) -> list[str]:
    """The names of the parameters that fit their patterns below ``key``."""
    patterns = {name.removeprefix(key): text for name, text in annotations.items() if name.startswith(key)}
    return [name for name, pattern in patterns.items() if re.fullmatch(pattern, str(parameters.get(name, "")))]
