"""Made-up model packages, and what stands for a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vqi.made import detector_artifact, images_record
from vqi.artifacts.detector import save_detector
from vqi.artifacts.files import write_json, write_text
from vqi.models.manifest import MANIFEST
from vqi.models.registry import publish
from vqi.store.interface import Store
from vqi.store.names import key_of


class KilledError(Exception):
    """In place of SIGKILL."""


def package(folder: Path, number: int, category: str = "mono", dataset: str = "parts") -> dict[str, Path]:
    """The four files of a model; ``number`` makes them different. ``dataset``: its name."""
    paths = {name: folder / f"{number}-{name}" for name in ("backbone", "detector", "metrics", "report")}
    paths["backbone"].parent.mkdir(parents=True, exist_ok=True)
    paths["backbone"].write_bytes(b"weights" * 1000)
    write_json(paths["metrics"], {"image_auroc": 0.5})
    write_text(paths["report"], f"<p>{number}</p>")
    images = images_record(dataset=f"{key_of(dataset)}@0123456789ab", category=category, image_size=64)
    save_detector(paths["detector"], detector_artifact(number, images=images))
    return paths


def publish_until_manifest(store: Store, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A publication that is killed when all but the manifest is there."""
    put = store.put_bytes

    def interrupted(key: str, data: bytes) -> None:
        if key.endswith(MANIFEST):
            raise KilledError
        put(key, data)

    with monkeypatch.context() as patched:
        patched.setattr(store, "put_bytes", interrupted)
        with pytest.raises(KilledError):
            publish(store, **files)
