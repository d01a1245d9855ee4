"""Where artifacts are between steps: in the run folder, or in an object store that each step copies from and to."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vqi.store.interface import Store
from vqi.store.opening import fetch_uri, open_store
from vqi_pipelines.local.cache import ArtifactEntry, content_digest
from vqi_pipelines.local.private import make_private


@dataclass(frozen=True)
class ArtifactRef:
    """An artifact that was written."""

    location: str  # a path, or a uri in an object store
    digest: str
    files: tuple[str, ...] | None = None  # of a folder in an object store, relative; None for a file


class RunFolder:
    """Artifacts are in the tasks' folders."""

    place = "run folder"

    def path_of(self, ref: ArtifactRef, scratch: Path) -> Path:
        """The path at which a step finds its input after ``bring``."""
        return Path(ref.location)

    def bring(self, ref: ArtifactRef, scratch: Path) -> Path:
        """See ``path_of``: there is nothing to do."""
        return self.path_of(ref, scratch)

    def keep(self, made: Path, task_folder: Path, key: str) -> ArtifactRef:
        """Give an output its final name."""
        final = task_folder / made.name
        _remove(final)
        make_private(made)
        made.replace(final)
        return ArtifactRef(str(final), content_digest(final))

    def reuse(self, entry: ArtifactEntry, task_folder: Path, earlier: Path) -> ArtifactRef | None:
        """An equal artifact of an earlier run, linked into this one; None when it is gone or changed."""
        source = earlier / Path(entry.location).name
        final = task_folder / source.name
        _remove(final)
        try:
            if not source.exists() or content_digest(source) != entry.digest:
                return None
            link_tree(source, final)
        except (FileNotFoundError, shutil.Error):  # removed just now
            if source.exists() and content_digest(source) == entry.digest:
                raise
            _remove(final)
            return None
        make_private(final)
        return ArtifactRef(str(final), entry.digest)

    def record(self, ref: ArtifactRef) -> dict[str, Any]:
        """What a cache entry records about an artifact."""
        return {"location": Path(ref.location).name, "digest": ref.digest}


class ObjectStore:
    """Every artifact passes through an object store; a step starts in an empty folder."""

    def __init__(self, uri: str, run_id: str) -> None:
        self.place = uri
        self._store: Store = open_store(uri)
        self._run_id = run_id

    def path_of(self, ref: ArtifactRef, scratch: Path) -> Path:
        """The path at which a step finds its input after ``bring``."""
        return scratch / ref.location.rpartition("/")[2]

    def bring(self, ref: ArtifactRef, scratch: Path) -> Path:
        """Download an input."""
        target = self.path_of(ref, scratch)
        if ref.files is None:
            fetch_uri(ref.location, target)
            return target
        target.mkdir()
        for name in ref.files:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            fetch_uri(f"{ref.location}/{name}", target / name)
        return target

    def keep(self, made: Path, task_folder: Path, key: str) -> ArtifactRef:
        """Upload an output."""
        key = f"{self._run_id}/{key}"
        if made.is_file():
            self._store.put_file(key, made)
            return ArtifactRef(self._store.uri_of(key), content_digest(made))
        files = tuple(sorted(str(p.relative_to(made)) for p in made.rglob("*") if p.is_file()))
        for name in files:
            self._store.put_file(f"{key}/{name}", made / name)
        return ArtifactRef(self._store.uri_of(key), content_digest(made), files)

    def reuse(self, entry: ArtifactEntry, task_folder: Path, earlier: Path) -> ArtifactRef | None:
        """An equal artifact of an earlier run; None when it is gone. Its bytes are checked when it is read."""
        root = f"{self._store.uri.rstrip('/')}/"
        if not entry.location.startswith(root):
            return None
        key = entry.location.removeprefix(root)
        keys = [key] if entry.files is None else [f"{key}/{name}" for name in entry.files]
        there = all(map(self._store.exists, keys))
        return ArtifactRef(entry.location, entry.digest, entry.files) if there else None

    def record(self, ref: ArtifactRef) -> dict[str, Any]:
        """What a cache entry records about an artifact."""
        return {"location": ref.location, "digest": ref.digest, "files": None if ref.files is None else list(ref.files)}


Transfer = RunFolder | ObjectStore


def link_tree(source: Path, target: Path) -> None:
    """Hard-link a file or a folder; copy if the file system cannot link."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link)
    else:
        _link(str(source), str(target))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileExistsError:  # a copy would write through the link into the existing artifact
        raise
    except OSError:  # another file system, or one without links: a copy does the same
        shutil.copy2(source, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
