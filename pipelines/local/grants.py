"""What a step in a container is granted besides its image: folders, a network, environment variables. No more than it
needs: a step that reads only artifacts has no network and no credentials, and writes only to its own folder.

The compiled pipeline declares which step that is: by what its pod gets from Secrets, and by ``pod_annotations``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vqi.store.folder import FolderStore
from vqi.store.opening import IDENTITY, PLACES, STORE, open_store
from vqi.store.s3_profiles import profile_files
from vqi.system.cache import CACHE, cache_folder
from vqi_components.environment import SECRETS, TERMINATION
from vqi_pipelines.local.launch import Job
from vqi_pipelines.pod_annotations import BESIDE, DOWNLOADS, OFFLINE_IF, STORE_ACCESS, fitting

# The instruction sets that the libraries use: passed on, so that the results equal those of a subprocess.
_ARITHMETIC = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_CBWR")
_SIZES = ("VQI_THREADS", "OMP_NUM_THREADS")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_LOOPBACK = ("localhost", "127.", "::1")
_NAMED_PATH = re.compile(r"(?:\w+:)?(?:file://)?(/(?!/).*)")  # folder:/photos, file:///photos, /photos


@dataclass(frozen=True)
class Mount:
    """A file or folder of this machine that a step sees at the same path."""

    path: Path
    writable: bool = False


def mounts(job: Job) -> list[Mount]:
    """What a step sees of this machine: its own folder, its inputs, and what its parameters name."""
    found = [Mount(job.folder, writable=True), *map(Mount, job.inputs)]
    store = local_store(job)
    if store is not None:
        found.append(Mount(store, job.container.pod.annotations.get(STORE_ACCESS) == "write"))
    kept = downloads(job)
    if kept is not None:
        found.append(Mount(kept, writable=True))
    found += [Mount(path) for path in _named_paths(job)]
    if needs_network(job):
        found += [Mount(Path(job.environment[name])) for name in _CERTIFICATES if job.environment.get(name)]
    found += [Mount(path) for path in _store_files(job).values()]
    return [
        Mount(path, any(one.writable for one in found if one.path == path)) for path in {m.path: None for m in found}
    ]


def local_store(job: Job) -> Path | None:
    """The store's folder, for a step that uses the store."""
    store = job.environment.get(STORE)
    if STORE not in _kept_variables(job) or not store or store.startswith("s3://"):
        return None
    opened = open_store(store)
    return opened.root if isinstance(opened, FolderStore) else None


def downloads(job: Job) -> Path | None:
    """The folder for a step's downloads, which the next run continues; None for a step that keeps nothing."""
    if job.container.pod.annotations.get(DOWNLOADS) != "kept":
        return None
    return cache_folder(job.environment) / "containers"  # it belongs to the user of the steps


def _kept_variables(job: Job) -> list[str]:
    """What a Secret or ConfigMap gives the step on a cluster, and the user's environment gives it here."""
    return [value.variable for value in job.container.pod.env]


def _uses_s3(job: Job) -> bool:
    """Whether a step may ask an S3 server: for the store, or for a source in a bucket."""
    return STORE in _kept_variables(job) and needs_network(job)


def _store_files(job: Job) -> dict[str, Path]:
    """The files that a store on S3 reads, by the variable that names them; profiles only where they have the key."""
    if not _uses_s3(job):
        return {}
    named = {name: Path(job.environment[name]).expanduser() for name in PLACES if job.environment.get(name)}
    if not job.environment.get("AWS_ACCESS_KEY_ID"):
        named |= profile_files(job.environment)
    return {name: path.absolute() for name, path in named.items() if path.is_file()}


def _named_paths(job: Job) -> Iterator[Path]:
    """The existing paths that parameters name, also those with a digest, ``/weights.pth#sha256=...``."""
    beside = fitting(job.container.pod.annotations, BESIDE, job.parameters)
    for name, value in job.parameters.items():
        for text in _texts(value):
            match = _NAMED_PATH.fullmatch(text.partition("#sha256=")[0])
            if match and Path(match[1]).exists():
                yield Path(match[1]).parent if name in beside else Path(match[1])


def _texts(value: Any) -> Iterator[str]:
    """A text, or the texts below the keys of a parameter such as ``finetune``."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)


def needs_network(job: Job) -> bool:
    """Whether a step uses the network: for the store, for what a parameter names, or for downloads.

    A step without any value from a Secret or ConfigMap never does.
    """
    if not job.container.pod.env:
        return False
    if STORE in _kept_variables(job) and job.environment.get(STORE, "").startswith("s3://"):
        return True
    if any("://" in text and "file://" not in text for text in _texts(job.parameters)):
        return True
    pod = job.container.pod.annotations
    may_download = any(key.startswith(OFFLINE_IF) for key in pod)
    return may_download and not fitting(pod, OFFLINE_IF, job.parameters)


def network_flags(job: Job) -> list[str]:
    """The engine's flags: no network; its usual one; or this machine's own, for a server on loopback."""
    if not needs_network(job):
        return ["--network", "none"]
    servers = [job.environment.get(name, "") for name in ("VQI_S3_ENDPOINT", *IDENTITY, *_PROXIES)]
    hosts = [urlsplit(server).hostname or "" for server in servers if "://" in server]
    return ["--network", "host"] if any(host.startswith(_LOOPBACK) for host in hosts) else []


def variables(job: Job, *, sized: bool) -> dict[str, str]:
    """The environment variables of a step in addition to those of its image.

    Args:
        job: The step.
        sized: Whether it has a processor limit, which it then detects by itself.
    """
    names = [*_ARITHMETIC, *(() if sized else _SIZES), *_kept_variables(job)]
    if needs_network(job):
        names += [*_PROXIES, *(name.upper() for name in _PROXIES), *_CERTIFICATES]
    if _uses_s3(job):
        names += IDENTITY
    told = {name: job.environment[name] for name in names if name in job.environment}
    told |= {name: str(path) for name, path in _store_files(job).items()}
    kept = downloads(job)
    if kept is not None:
        told[CACHE] = str(kept)
    told |= {name: job.environment[name] for name in (TERMINATION, SECRETS) if name in job.environment}
    return {**told, **dict(job.container.env)}


def owner_of(path: Path) -> int:
    """The user id of the owner of a file or folder."""
    return path.stat().st_uid
