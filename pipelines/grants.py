"""What a step in a container is granted beside its image: folders, a network, environment variables. No more than it
needs: a step that reads artifacts alone has no network and no credentials, and writes to its own folder only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipelines.launch import Job
from pipelines.limits import step_of
from vqi.config import DatasetDownload, SslFinetune, defaults
from vqi.store import open_store
from vqi.store.folder import FolderStore

# The steps that work on the store of datasets and models, and whether they write there.
STORE_STEPS = {"dataset_download": True, "preprocess": False, "ssl_finetune": True, "publish": True}

_FETCHES = "dataset_download"
_EMBEDDED = defaults(DatasetDownload).source
_SIZES = ("VQI_THREADS", "OMP_NUM_THREADS")
_STORE = (
    "VQI_STORE",
    "VQI_S3_ENDPOINT",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
)
_DOWNLOADS = ("USER_CONSENT", "VQI_HTTP_TOKENS")  # of the step that fetches
_CACHE = "VQI_CACHE"
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_CERTIFICATES = "SSL_CERT_FILE"
_LOOPBACK = ("localhost", "127.", "::1")
_NAMED_PATH = re.compile(r"(?:\w+:)?(?:file://)?(/(?!/).*)")  # folder:/photos, file:///photos, /photos


@dataclass(frozen=True)
class Mount:
    """A file or folder of this machine that a step sees, at the same place."""

    path: Path
    writable: bool = False


def mounts(job: Job) -> list[Mount]:
    """What a step sees of this machine: its own folder, its inputs, and what its parameters name."""
    found = [Mount(job.folder, writable=True), *map(Mount, job.inputs)]
    store = local_store(job)
    if store is not None:
        found.append(Mount(store, STORE_STEPS[step_of(job.command)]))
    cache = local_cache(job)
    if cache is not None:
        found.append(Mount(cache, writable=True))
    found += [Mount(path) for path in _named_paths(job.parameters)]
    certificates = job.environment.get(_CERTIFICATES, "")
    if needs_network(job) and certificates:
        found.append(Mount(Path(certificates)))
    return [
        Mount(path, any(one.writable for one in found if one.path == path)) for path in {m.path: None for m in found}
    ]


def local_store(job: Job) -> Path | None:
    """The folder that is the store, for a step that works on one."""
    if step_of(job.command) not in STORE_STEPS or not job.environment.get("VQI_STORE"):
        return None
    store = job.environment["VQI_STORE"]
    if store.startswith("s3://"):
        return None
    opened = open_store(store)
    return opened.root if isinstance(opened, FolderStore) else None


def local_cache(job: Job) -> Path | None:
    """The folder in which the step that fetches keeps what it fetched; none where the run names none."""
    named = job.environment.get(_CACHE, "")
    return Path(named).expanduser().absolute() if named and step_of(job.command) == _FETCHES else None


def _named_paths(parameters: Mapping[str, Any]) -> Iterator[Path]:
    """What is there of the paths that parameters name, also those with a digest, ``/weights.pth#sha256=...``."""
    texts = [value.partition("#sha256=")[0] for value in parameters.values() if isinstance(value, str)]
    for text, match in ((text, _NAMED_PATH.fullmatch(text)) for text in texts):
        if match and Path(match[1]).exists():
            # a table names images beside it
            yield Path(match[1]).parent if text.startswith("csv:") else Path(match[1])


def needs_network(job: Job) -> bool:
    """Whether a step works on something behind a network: the store, what a parameter names, weights to download."""
    name, texts = step_of(job.command), [str(value) for value in job.parameters.values()]
    if name not in STORE_STEPS:
        return False
    if job.environment.get("VQI_STORE", "").startswith("s3://"):
        return True
    if any("://" in text and "file://" not in text for text in texts):
        return True
    source = str(job.parameters.get("source", _EMBEDDED))
    if name == _FETCHES and ":" not in source and source != _EMBEDDED:  # a public dataset, known by its name
        return True
    weights = (job.parameters.get("weights"), job.parameters.get("backbone_name"))
    embedded = defaults(SslFinetune).backbone_name
    return name == "ssl_finetune" and weights[0] == "pretrained" and weights[1] != embedded


def network_flags(job: Job) -> list[str]:
    """The engine's flags: no network; its usual one; or this machine's own, for a server on loopback."""
    if not needs_network(job):
        return ["--network", "none"]
    servers = [job.environment.get(name, "") for name in ("VQI_S3_ENDPOINT", *_PROXIES)]
    hosts = [urlsplit(server).hostname or "" for server in servers if "://" in server]
    return ["--network", "host"] if any(host.startswith(_LOOPBACK) for host in hosts) else []


def variables(job: Job, *, sized: bool) -> dict[str, str]:
    """The environment variables of a step beside those of its image.

    Args:
        job: The step.
        sized: Whether it has a limit of processors, which it then finds out by itself.
    """
    names = [] if sized else list(_SIZES)
    if step_of(job.command) in STORE_STEPS:
        names += _STORE
    if needs_network(job):
        names += [*_PROXIES, *(name.upper() for name in _PROXIES), _CERTIFICATES]
    if step_of(job.command) == _FETCHES:
        names += _DOWNLOADS
    told = {name: job.environment[name] for name in names if name in job.environment}
    cache = local_cache(job)
    if cache is not None:
        told[_CACHE] = str(cache)
    return {**told, **dict(job.container.env)}


def owner_of(path: Path) -> int:
    """The user id that a file or folder belongs to."""
    return path.stat().st_uid
