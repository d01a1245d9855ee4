"""What can be said of a run's photographs before its first step: without a network, and without reading them."""

from __future__ import annotations

from vqi.config import DatasetDownload
from vqi.datasets.sources import TAKE_URL, split_source


def check_photographs(settings: DatasetDownload) -> None:
    """Refuse what the first step would: a place or a category that is not there, nothing to train on, no consent.

    What a server has is not asked for: the step says what is wrong with that.

    Raises:
        VqiError: As said.
    """
    name, argument = split_source(settings.source)
    if name in TAKE_URL:
        from vqi.datasets.public import allowed  # fetches and unpacks

        allowed(name, argument, settings)
    elif name == "elpv" and settings.only_categories:  # whose package may be in the containers of the steps only
        from vqi.datasets.elpv import CATEGORIES
        from vqi.datasets.layout import check_categories

        check_categories(settings.only_categories, CATEGORIES)
    elif name == "folder" and "://" not in argument.removeprefix("file://"):
        from vqi.datasets.plan import plan

        plan(settings).require_trainable()
