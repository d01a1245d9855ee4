"""What a pipeline declares about a step besides its graph, as annotations of its pod: written by ``training``, read by
backends.

On a cluster they are visible on the pod and change nothing. A key that ends with a dot is followed by the name of a
parameter, and its value is a pattern that must match that parameter's whole text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

STORE_ACCESS = "vqi/store"  # "write": it writes to the store of datasets and models; without this it only reads
DOWNLOADS = "vqi/downloads"  # "kept": what it downloads stays in the user's cache, for the next time
OFFLINE_IF = "vqi/offline-if."  # it needs no network if one of these patterns matches
BESIDE = "vqi/beside."  # if the pattern matches, the parameter names a file that names files next to it
PAGE_FOLDER = "vqi/page-folder"  # the name of an output that is a folder with an index.html and its pictures
LESS_MEMORY = "vqi/less-memory"  # how to make it use less memory, as a clause of a sentence


def fitting(annotations: Mapping[str, str], key: str, parameters: Mapping[str, Any]) -> list[str]:
    """The names of the parameters that match their patterns below ``key``."""
    patterns = {name.removeprefix(key): text for name, text in annotations.items() if name.startswith(key)}
    return [name for name, pattern in patterns.items() if re.fullmatch(pattern, str(parameters.get(name, "")))]
