"""What a run of the training pipeline gave for each category, read from its folder alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from vqi.artifacts.decision import Decision
from vqi.artifacts.metrics import Summary
from vqi.errors import VqiError
from vqi.pages.table import read_csv
from vqi.records import AnyRecord
from vqi.redaction import shown_line
from vqi_pipelines.local.state import CACHED, DONE, FAILED
from vqi_pipelines.local.task_record import TaskRecord, read_task

DATA, MEASURES, DECIDES = "preprocess", "evaluate", "publish"  # the steps of a category that say something of it
TABLE = "table.csv"
UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Category:
    """A category of a run."""

    name: str
    folder: str  # of its steps, below the run's; '' of one that was not trained
    row: Summary | None = None  # None where it was not measured
    decision: Decision | None = None  # None where none was made, or its category was not trained
    trained: bool = True
    failure: str = ""  # which step failed, and why
    report: str = ""  # its page, below the run's folder; or a uri, where artifacts went through an object store
    data_page: str = ""

    @property
    def decided(self) -> str:
        """What became of its model, in a few words: ``v3 held, v2 is used``."""
        if self.failure:
            return "failed"
        if not self.trained:
            return UNCHANGED
        if self.decision is None:
            return ""
        used, version = self.decision.champion, self.decision.version
        also = "" if used == version else f", v{used} is used" if used else ", none is used"
        return f"v{version} {self.decision.verdict}{also}"


def categories_of(run: Path, states: Mapping[str, str]) -> tuple[Category, ...]:
    """The categories of a run, in the order of their names.

    Args:
        run: Its folder.
        states: Of its steps, by label.

    Raises:
        VqiError: What a step or the run wrote is damaged.
    """
    below: dict[str, dict[str, str]] = {}
    for label, state in states.items():
        folder, _, step = label.rpartition("/")
        below.setdefault(folder, {})[step] = state
    found = {folder: _trained(run, folder, steps) for folder, steps in below.items() if folder and MEASURES in steps}
    named = {one.name for one in found.values()}
    return tuple(sorted([*found.values(), *_untrained(run, named)], key=lambda one: one.name))


def _trained(run: Path, folder: str, steps: Mapping[str, str]) -> Category:
    row, decision = None, None
    if (measured := _done(run / folder / MEASURES, steps.get(MEASURES))) is not None:
        row = _parsed(Summary, measured.output_parameters.get("summary"))
    if (decided := _done(run / folder / DECIDES, steps.get(DECIDES))) is not None:
        decision = _parsed(Decision, decided.output_parameters.get("decision"))
    return Category(
        row.category if row else folder,
        folder,
        row,
        decision,
        failure="; ".join(_failures(run / folder, steps)),
        report=_page(run, folder, DECIDES, "decided_report") or _page(run, folder, MEASURES, "report"),
        data_page=_page(run, folder, DATA, "data_page"),
    )


def _page(run: Path, folder: str, step: str, artifact: str) -> str:
    """Where a page is; '' where it was not made, or is gone."""
    path = f"{folder}/{step}/{artifact}.html"
    if (run / path).is_file():
        return path
    step_folder = run / folder / step
    made = read_task(step_folder).output_artifacts.get(artifact) if step_folder.is_dir() else None
    return made.location if made and "://" in made.location else ""


def _done(folder: Path, state: str | None) -> TaskRecord | None:
    """What a step gave; None for one that is not done, or whose folder somebody removed."""
    return read_task(folder) if state in (DONE, CACHED) and folder.is_dir() else None


def _failures(folder: Path, steps: Mapping[str, str]) -> Iterator[str]:
    for step, state in steps.items():
        if state == FAILED:
            try:
                why = read_task(folder / step).message
            except VqiError:  # it could not be written either, for example because the disk was full
                why = "its log says why"
            yield f"{step}: {shown_line(why)}"


def _untrained(run: Path, trained: set[str]) -> Iterator[Category]:
    """The categories of the table that were not trained: they have the rows of models that were there."""
    if (run / TABLE).is_file():
        rows = [row for row in read_csv(run / TABLE) if row.category not in trained]
        yield from (Category(row.category, "", row, trained=False) for row in rows)


def _parsed(kind: type[AnyRecord], text: object) -> AnyRecord | None:
    """A record from what a step gave; None where a step of that name in another pipeline gave something else."""
    try:
        return kind.model_validate_json(text) if isinstance(text, str) else None
    except ValidationError:
        return None
