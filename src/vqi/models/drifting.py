"""Whether the good photographs that are new since a version was trained are as good ones should be, before anything is
trained: the version scores them, as ``vqi predict`` does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vqi.artifacts.drift import Drift
from vqi.artifacts.metrics import short_digest
from vqi.errors import VqiError
from vqi.models.category import Category
from vqi.models.drift import drift_of
from vqi.models.figures import metrics_of
from vqi.models.rescoring import scores_now
from vqi.models.trained import is_good, trained_on


def drift_since(category: Category, number: int, dataset: str, photographs: Mapping[str, str]) -> Drift | None:
    """What a version says of the good photographs that it was not trained on; None where there are none.

    Args:
        category: Of the version.
        number: Of the version.
        dataset: Uri of the dataset with the photographs of now.
        photographs: Of the category in that dataset: their sha256 by path.

    Raises:
        VqiError: It is not known what the version was trained on, or it cannot be scored.
    """
    known, before = trained_on(category, number), metrics_of(category, number)
    if known is None or before.held_out is None:
        raise VqiError(f"it is not known which photographs v{number} was trained on, and how it scored them")
    new = {short_digest(one) for path, one in photographs.items() if is_good(path) and one not in known}
    if not new:
        return None
    found = [*scores_now(category, number, dataset, new).values()]
    if not found:
        raise VqiError(f"none of {len(new)} new photographs can be read")
    scores = np.array([one.score for one in found])
    parts = np.array([one.part for one in found], np.int64)
    return drift_of(scores, parts, before.held_out, before.threshold, before.target_fpr, number)
