"""What a mirror shows of a category, and bringing one up to date.

A mirror's module has ``bring(model, server)``, which makes what a server has of a model what the store has, and does
nothing where it is. It finds a version by its digest, so that one that was interrupted goes on where it was.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from vqi.artifacts.metrics import Metrics
from vqi.mirrors.registry import MIRRORS
from vqi.models.category import Category, names_of
from vqi.models.manifest import Manifest
from vqi.models.overview import Entry, entries_of
from vqi.redaction import shown
from vqi.store.names import key_of

CHAMPION = "champion"
DIGEST, VERSION, VERDICT, REASONS, URI = (f"vqi.{one}" for one in ("digest", "version", "verdict", "reasons", "uri"))
_LONGEST = 4000  # characters of a text
_FIGURES = (
    "image_auroc", "pixel_auroc", "aupro", "false_alarm_rate", "recall", "accuracy", "threshold", "target_fpr",
    "train_images", "test_images",
)  # fmt: skip


class Version(NamedTuple):
    """A version that is whole."""

    entry: Entry
    manifest: Manifest
    metrics: Metrics

    @property
    def tags(self) -> dict[str, str]:
        """Which one it is, and where."""
        entry = self.entry
        return {DIGEST: self.manifest.digest, VERSION: str(entry.version), URI: shown(entry.model)}

    @property
    def decided(self) -> dict[str, str]:
        """What the gate said; a later run may say something else."""
        verdict = self.entry.verdict
        if verdict is None:
            return {}
        return {VERDICT: verdict.verdict, REASONS: "; ".join(verdict.reasons)[:_LONGEST]}

    @property
    def settings(self) -> dict[str, str]:
        """What made it."""
        manifest, made = self.manifest, self.manifest.made_with
        return {
            "vqi": manifest.vqi, "detector": self.metrics.detector, "image_size": str(manifest.image_size),
            "layer": manifest.features.layer, "made_with": f"{made.engine} {made.precision}",
        }  # fmt: skip

    @property
    def figures(self) -> dict[str, float]:
        """Its metrics, without those that were not measured."""
        found = {key: getattr(self.metrics, key) for key in _FIGURES}
        return {key: float(figure) for key, figure in found.items() if figure is not None}


class Model(NamedTuple):
    """What a mirror shows of a category."""

    name: str
    category: Category
    versions: tuple[Version, ...]
    champion: int  # the number of the version that is used; 0 for none


def mirror(name: str, category: Category, server: str) -> Model:
    """Bring what a server has of a category up to date.

    Args:
        name: Of the mirror, in ``MIRRORS``.
        category: In the store.
        server: Its address, such as ``http://host:5000``.

    Returns:
        What the server has then.

    Raises:
        UnavailableError: The server does not respond.
        VqiError: The store cannot be read, the server refuses, or its client is not installed.
    """
    feeder: Any = import_module(MIRRORS[name].module)
    model = _model_of(category)
    feeder.bring(model, server)
    return model


def _model_of(category: Category) -> Model:
    versions = tuple(
        Version(one, one.manifest, one.metrics)
        for one in entries_of(category)
        if one.manifest is not None and one.metrics is not None
    )
    champion = next((one.entry.version for one in versions if one.entry.champion), 0)
    return Model(_name(category), category, versions, champion)


def _name(category: Category) -> str:
    """The name of a model, the same in all mirrors: they take no slashes and colons, and their filters no quotes."""
    name = ".".join(key_of(one) for one in names_of(category))
    return "".join(f"%{ord(one):02X}" if one in ":'\"`" else one for one in name)
