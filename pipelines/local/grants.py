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

from vqi.config import SslFinetune, defaults
from vqi.store.folder import FolderStore
from vqi.store.opening import open_store
from vqi.transfer.fetching import CACHE, cache_folder
from vqi_pipelines.local.launch import Job
from vqi_pipelines.local.limits import step_of

# The steps that work on the store of datasets and models, and whether they write there.
STORE_STEPS = {"dataset_download": True, "preprocess": False, "ssl_finetune": True, "publish": True}

DOWNLOAD = "dataset_download"
# They keep a whole dataset for a while, and /tmp is memory of theirs.
_LARGE_TEMPORARY = (DOWNLOAD, "preprocess")

# Which instructions the libraries compute with: where somebody chose, the results are those of a subprocess.
_ARITHMETIC = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_CBWR")
_SIZES = ("VQI_THREADS", "OMP_NUM_THREADS")
_STORE = (
    "VQI_STORE",
    "VQI_S3_ENDPOINT",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
)
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_OF_SOURCES = ("USER_CONSENT", "VQI_HTTP_TOKENS")
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
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
    kept = downloads(job)
    if kept is not None:
        found.append(Mount(kept, writable=True))
    found += [Mount(path) for path in _named_paths(job.parameters)]
    if needs_network(job):
        found += [Mount(Path(job.environment[name])) for name in _CERTIFICATES if job.environment.get(name)]
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


def downloads(job: Job) -> Path | None:
    """The folder for what the step that reads a source downloads, and goes on with the next time."""
    if step_of(job.command) != DOWNLOAD:
        return None
    return cache_folder(job.environment) / "containers"  # it belongs to the user of the steps


def _named_paths(parameters: Mapping[str, Any]) -> Iterator[Path]:
    """What is there of the paths that parameters name, also those with a digest, ``/weights.pth#sha256=...``."""
    texts = [text.partition("#sha256=")[0] for text in _texts(parameters)]
    for text, match in ((text, _NAMED_PATH.fullmatch(text)) for text in texts):
        if match and Path(match[1]).exists():
            # a table names images beside it
            yield Path(match[1]).parent if text.startswith("csv:") else Path(match[1])


def _texts(parameters: Mapping[str, Any]) -> Iterator[str]:
    """The texts among parameters, also those below a key, as of ``finetune``."""
    for value in parameters.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _texts(value)


def needs_network(job: Job) -> bool:
    """Whether a step works on something behind a network: the store, what a parameter names, weights to download."""
    name = step_of(job.command)
    if name not in STORE_STEPS:
        return False
    if job.environment.get("VQI_STORE", "").startswith("s3://"):
        return True
    if any("://" in text and "file://" not in text for text in _texts(job.parameters)):
        return True
    if name == DOWNLOAD:
        return not _on_this_machine(job.parameters)
    weights = (job.parameters.get("weights"), job.parameters.get("backbone_name"))
    embedded = defaults(SslFinetune).backbone_name
    return name == "ssl_finetune" and weights[0] == "pretrained" and weights[1] != embedded


def _on_this_machine(parameters: Mapping[str, Any]) -> bool:
    """Whether a source is read without a network: a path, and the embedded dataset. A table may name any address."""
    kind = str(parameters.get("source", "elpv")).partition(":")[0]
    return kind in ("elpv", "folder", "archive") or bool(parameters.get("url"))


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
    names = [*_ARITHMETIC, *(() if sized else _SIZES)]
    if step_of(job.command) in STORE_STEPS:
        names += _STORE
    if step_of(job.command) == DOWNLOAD:
        names += _OF_SOURCES
    if needs_network(job):
        names += [*_PROXIES, *(name.upper() for name in _PROXIES), *_CERTIFICATES]
    told = {name: job.environment[name] for name in names if name in job.environment}
    kept = downloads(job)
    if kept is not None:
        told[CACHE] = str(kept)
    if step_of(job.command) in _LARGE_TEMPORARY:
        told["TMPDIR"] = str(job.folder / "work")
    return {**told, **dict(job.container.env)}


def owner_of(path: Path) -> int:
    """The user id that a file or folder belongs to."""
    return path.stat().st_uid
