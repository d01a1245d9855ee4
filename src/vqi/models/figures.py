"""What was measured of a version, and what the gate said of it."""

from __future__ import annotations

from vqi.artifacts.decision import GateVerdict
from vqi.artifacts.metrics import Metrics
from vqi.models.category import VERDICT, Category
from vqi.models.manifest import METRICS
from vqi.records import parse_json


def metrics_of(category: Category, number: int) -> Metrics:
    """What was measured of a version when it was made.

    Raises:
        VqiError: That is damaged, or other figures than those of this version of the library.
    """
    key = category.key(f"v{number}/{METRICS}")
    return parse_json(Metrics, category.store.get_bytes(key), category.store.uri_of(key), "train the category again")


def verdict_of(category: Category, number: int) -> GateVerdict:
    """What the gate said of a version that it decided on.

    Raises:
        VqiError: That is damaged.
    """
    key = category.key(f"v{number}/{VERDICT}")
    return parse_json(
        GateVerdict, category.store.get_bytes(key), category.store.uri_of(key), "train the category again"
    )
