"""A category of a source as a run would prepare it: whether it can be used, and its data page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vqi.artifacts.data_report import DataReport
from vqi.artifacts.files import write_text
from vqi.artifacts.images import load_images
from vqi.config import LEAST_TRAINING, DatasetDownload
from vqi.datasets.layout import Dataset
from vqi.datasets.splits import divide
from vqi.errors import UnavailableError, VqiError
from vqi.formatting import count
from vqi.pages.data_page import Pictures, render
from vqi.photographs.decoding import only_max_pixels
from vqi.preparation.alone import prepare_alone
from vqi.preparation.images import too_many_bad
from vqi.store.names import key_of
from vqi.system.scratch import scratch_folder


@dataclass(frozen=True)
class Checked:
    """What was found in a category."""

    problem: VqiError | None  # why a run would stop; None where it would not
    warnings: tuple[str, ...]
    page: Path | None  # None where nothing could be prepared

    @property
    def verdict(self) -> str:
        """Whether it can be used, in one line."""
        if self.problem is not None:
            return f"cannot be used: {self.problem}"
        return f"can be used, with {count(len(self.warnings), 'warning')}" if self.warnings else "can be used"


def check_category(dataset: Dataset, category: str, settings: DatasetDownload, output: Path) -> Checked:
    """Prepare a category and write its data page into the folder ``output``.

    Raises:
        UnavailableError: A server did not respond, which says nothing of the photographs.
    """
    one = replace(dataset, categories={category: dataset.categories[category]})
    # unreadable images, however many, are what the page is for: whether they are too many is asked afterwards
    lenient = settings.model_copy(update={"max_bad_fraction": 1.0})
    page = output / f"{key_of(category)}.html"
    with scratch_folder() as scratch, only_max_pixels():
        try:
            alone = prepare_alone(divide(one, settings), category, lenient, scratch)
        except UnavailableError:
            raise
        except VqiError as error:
            return Checked(error, (), None)
        write_text(page, render(alone.report, Pictures(load_images(alone.images), alone.shard, settings.max_pixels)))
    return Checked(_problem(alone.report, settings), (*_unreadable(alone.report), *alone.report.warnings), page)


def _unreadable(report: DataReport) -> Iterator[str]:
    if report.unreadable:
        first, total = report.unreadable[0], report.images + len(report.unreadable)
        of = count(total, "photograph")
        yield f"{len(report.unreadable):,} of {of} cannot be read, such as {first.path}: {first.reason}"


def _problem(report: DataReport, settings: DatasetDownload) -> VqiError | None:
    total = report.images + len(report.unreadable)
    if bad := too_many_bad(report.category, report.unreadable, total, settings.max_bad_fraction):
        return bad
    if report.labels.train.normal < LEAST_TRAINING:
        return VqiError(
            f"{count(report.labels.train.normal, 'good image')} to train on: expected at least {LEAST_TRAINING}"
        )
    return None
