"""A run's model -> a version, and the decision whether it is used from now on."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from vqi.artifacts.decision import Decision, GateVerdict
from vqi.artifacts.detector import load_detector
from vqi.artifacts.metrics import Metrics
from vqi.config import Publish
from vqi.datasets.catalogs import dataset_uri
from vqi.errors import UnavailableError, VqiError
from vqi.models.budgets import within_budgets
from vqi.models.category import VERDICT, Category
from vqi.models.champion import LONGEST_WHY, DamagedError, MovedMeanwhileError, Seen, history, move, seen
from vqi.models.figures import metrics_of
from vqi.models.gate import Measured, Opinion, judge, judge_first, measured_of, together
from vqi.models.good_alone import good_parts, judge_good
from vqi.models.registry import Published, in_use, publish
from vqi.models.rescoring import measured_now
from vqi.models.trained import Trained, note_trained
from vqi.progress import message
from vqi.store.interface import ConditionsError, Store

PENDING = GateVerdict(verdict="held", reasons=("the gate has not decided yet",))
_TRIES = 10  # where others move the champion at the same time


def publish_and_decide(
    store: Store, backbone: Path, detector: Path, metrics: Path, report: Path, settings: Publish
) -> Decision:
    """Write a model package, unless it is a version already, and let the gate decide whether it becomes the champion.

    A model that is not promoted stays a version. What is damaged of the champion ends no run: the model is held.

    Raises:
        VqiError: The package is damaged, or the store cannot be written.
    """
    published = publish(store, backbone, detector, metrics, report, PENDING)
    decision = decide(published, settings, f"the gate of run {settings.run}" if settings.run else "the gate")
    if settings.recipe:
        _note_what_made(published, detector, settings)
    return decision


def decide(published: Published, settings: Publish, by: str) -> Decision:
    """Let the gate decide whether a version becomes the champion, and write down what it said.

    Args:
        published: The version.
        settings: Of the gate; with the dataset whose test images a champion of other ones is scored on.
        by: In whose name the champion is moved.

    Raises:
        VqiError: The store cannot be written.
    """
    category, number = published.category, published.version
    try:
        opinion = _decided(published, settings, by)
        decides = opinion.verdict == "promoted" or (
            opinion.verdict != "unchanged" and not _champion_before(category, number)
        )
        champion = seen(category).champion
    except DamagedError as error:
        opinion, decides, champion = Opinion("held", (f"nothing is promoted: {error}",)), published.published, None
    if decides:
        verdict = GateVerdict(verdict=opinion.verdict, reasons=opinion.reasons)
        category.store.put_bytes(category.key(f"v{number}/{VERDICT}"), verdict.model_dump_json(indent=2).encode())
    message(f"gate: {category.uri}: v{number} {opinion.verdict}: {'; '.join(opinion.reasons)}")
    return Decision(
        published=published.published,
        model=published.model,
        version=number,
        verdict=opinion.verdict,
        reasons=opinion.reasons,
        champion=champion.version if champion else None,
        drift=opinion.drift,
    )


def _note_what_made(published: Published, detector: Path, settings: Publish) -> None:
    """So that the next run knows whether it would make the same model again; where it is known which one is used."""
    try:
        used = in_use(published.category)
    except DamagedError:
        return
    made = Trained(
        data=load_detector(detector).record.features.images.shard,
        recipe=settings.recipe,
        dataset=dataset_uri(settings.dataset).rstrip("/").rpartition("/")[2],
        used=used,
    )
    note_trained(published.category, published.version, made)


def _decided(published: Published, settings: Publish, by: str) -> Opinion:
    """The gate's opinion, after the champion was moved where it is to be."""
    category, number = published.category, published.version
    for _ in range(_TRIES):
        since = seen(category)
        opinion = _opinion(published, since, settings)
        if opinion.verdict != "promoted":
            return opinion
        try:
            move(category, since, number, by, "; ".join(opinion.reasons)[:LONGEST_WHY])
        except MovedMeanwhileError as error:
            message(f"note: {error}")
            continue
        except ConditionsError as error:
            return opinion._replace(verdict="held", reasons=(f"nothing is promoted: {error}", *opinion.reasons))
        return opinion
    return Opinion("held", (f"others moved the champion {_TRIES} times while the gate decided",))


def _opinion(published: Published, since: Seen, settings: Publish) -> Opinion:
    category, number = published.category, published.version
    champion = since.champion.version if since.champion else 0
    if number == champion:
        return Opinion("unchanged", ("an equal model is the champion",))
    if settings.gate == "off":
        return Opinion("promoted", ("the gate is off",))
    before = None if published.published else _champion_before(category, number)
    if before is not None:
        return before
    found = _against(category, number, champion or in_use(category), settings)
    if settings.gate == "manual":
        would = {"promoted": "promote", "rejected": "reject", "held": "hold"}[found.verdict]
        reasons = ("the gate is manual: a person promotes", f"it would {would} this", *found.reasons)
        return found._replace(verdict="held", reasons=reasons)
    return found


def _champion_before(category: Category, number: int) -> Opinion | None:
    """Of a model that was the champion and is no more; None of another one. Somebody decided that already."""
    moves = history(category)
    followers = [later for one, later in pairwise(moves) if one.version == number != later.version]
    if not followers:
        return None
    told = f"it was the champion before, until {followers[-1].by} took v{followers[-1].version}: a person promotes it"
    return Opinion("held", (told,))


def _against(category: Category, number: int, champion: int, settings: Publish) -> Opinion:
    """A version against the one that is used, 0 for none, on the same test images."""
    if not champion:
        first = judge_first(metrics_of(category, number).image_auroc, settings.min_auroc)
        return together([first, *within_budgets(category, number, 0, settings)])
    bounds = within_budgets(category, number, champion, settings)
    try:
        compared = _compared(category, champion, metrics_of(category, number), settings)
    except UnavailableError:
        raise
    except VqiError as error:
        return together([Opinion("held", (str(error),)), *bounds])
    found = together([*compared, *bounds])
    return found._replace(reasons=(f"against v{champion}", *found.reasons))


def _compared(category: Category, champion: int, metrics: Metrics, settings: Publish) -> list[Opinion]:
    """On the test images, where there are some; where none of them shows a defect, on good images, too.

    Raises:
        VqiError: The champion cannot be compared.
    """
    new, found = measured_of(metrics), []
    if new is None or len(new.labels):
        found.append(judge(new, _champion(category, champion, new, settings), settings.max_regression))
    if new is not None and not new.defective:
        before = metrics_of(category, champion)
        if (old := measured_of(before)) is None:
            raise VqiError("the champion's scores were not kept by the vqi that made it: a person promotes")
        try:
            parts = good_parts(category, champion, metrics, before, settings.dataset)
        except UnavailableError:
            raise
        except VqiError as error:
            raise VqiError(f"on good images alone: {error}") from error
        found += judge_good(parts, new, old)
    elif new is not None and settings.dataset:
        found += _told_of_new_parts(category, champion, metrics, settings)
    return found


def _told_of_new_parts(category: Category, champion: int, metrics: Metrics, settings: Publish) -> list[Opinion]:
    """What the champion says of good parts that are new to it, which decides nothing where defects are labelled."""
    try:
        before = metrics_of(category, champion)
        if metrics.held_out is None or before.held_out is None:
            return []
        drift = good_parts(category, champion, metrics, before, settings.dataset).drift
    except UnavailableError:
        raise
    except VqiError as error:
        message(f"note: what v{champion} says of new good parts is not known: {error}")
        return []
    return [] if drift is None else [Opinion("promoted", (drift.text,), drift)]


def _champion(category: Category, number: int, new: Measured | None, settings: Publish) -> Measured | None:
    """What the champion says of the test images of a new model: as it was measured when it was made, where these are
    the same ones, else now.

    Raises:
        VqiError: It cannot be scored now.
    """
    old, images = None, new.images if new is not None and len(new.labels) and settings.dataset else ""
    try:
        old = measured_of(metrics_of(category, number))
    except UnavailableError:
        raise
    except VqiError as error:
        unreadable = f"what was measured of v{number} cannot be read: {error}"
        if not images:
            raise VqiError(unreadable) from error
        message(f"note: {unreadable}")
    if not images or (old is not None and old.images == images):
        return old
    try:
        return measured_now(category, number, settings.dataset, images)
    except UnavailableError:
        raise
    except VqiError as error:
        raise VqiError(f"v{number} cannot be scored on these test images: {error}") from error
