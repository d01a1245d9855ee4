"""``vqi verdict``: what operators say of photographs that a model scored."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vqi_pipelines.commands.options import LocalPath
from vqi_pipelines.commands.tables import print_json as _print_json
from vqi_pipelines.commands.tables import print_table
from vqi_pipelines.commands.tables import shown as _shown
from vqi_pipelines.commands.tables import time_of as _time

if TYPE_CHECKING:
    from vqi.models.answers import Answered
    from vqi.verdicts.records import Scored
    from vqi.verdicts.standing import Standing

_MOST_PROBLEMS = 20  # rows of a table that are named
_WITH_SCORED = "With one model and --scored, how many parts it scored, it is that of all good parts."
_WIDTH = 110  # characters of a line of a note
_DIGEST = re.compile("[0-9a-f]{64}")


@click.command(short_help="What operators say of photographs: false alarm, defect, unclear.")
@click.argument("model")
@click.argument("image", required=False)
@click.argument("verdict", required=False)
@click.option("--take-back", is_flag=True, help="Take back your verdict on IMAGE.")
@click.option("--from", "table", type=LocalPath(), metavar="FILE", help="The verdicts of a CSV table.")
@click.option("--list", "listed", is_flag=True, help="The verdicts that stand, disagreements first.")
@click.option("--summary", is_flag=True, help="How often alarms are false, against what was promised.")
@click.option("--scored", type=click.IntRange(1), metavar="N", help="With --summary: how many parts MODEL scored.")
@click.option("--score", type=click.FloatRange(0), metavar="SCORE", help="Of IMAGE, instead of scoring it once more.")
@click.option("--by", metavar="NAME", help="Who says so. [user@host]")
@click.option("--digest-only", is_flag=True, help="Keep the digest of a photograph, and not the photograph.")
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
def verdict(
    model: str,
    image: str | None,
    verdict: str | None,
    take_back: bool,
    table: Path | None,
    listed: bool,
    summary: bool,
    scored: int | None,
    score: float | None,
    by: str | None,
    digest_only: bool,
    as_json: bool,
) -> None:
    """Say what IMAGE, which MODEL scored, shows: good, defect, defect:TYPE (such as defect:scratch), or unclear.

    MODEL is the folder or uri of a version in a store, or of a category for its champion. IMAGE is a file, or the
    sha256 of one that has a verdict. Verdicts are kept in the store and never changed; the last one counts.

    \b
      vqi verdict store/models/parts/bracket p17.png good              its alarm was false
      vqi verdict store/models/parts/bracket p18.png defect:scratch
      vqi verdict store/models/parts/bracket p17.png --take-back
      vqi verdict store/models/parts/bracket --from answers.csv        rows of vqi predict with a column verdict
      vqi verdict store --summary                                      of all categories
    """
    modes = {"--take-back": take_back, "--from": table is not None, "--list": listed, "--summary": summary}
    chosen = [name for name, given in modes.items() if given]
    _check_usage(chosen, image, verdict, scored)
    if summary:
        _summary(model, scored or 0, as_json=as_json)
        return
    from vqi.models.answers import answered_at
    from vqi.models.champion import whoami

    found, who = answered_at(model), by or whoami()
    if listed:
        _list(found, as_json=as_json)
    elif table is not None:
        _import(found, table, who, keep=not digest_only, as_json=as_json)
    elif image and take_back:
        _take_back(found, image, who, as_json=as_json)
    elif image and verdict:
        _answer(found, image, verdict, who, score, keep=not digest_only, as_json=as_json)


def _check_usage(chosen: list[str], image: str | None, verdict: str | None, scored: int | None) -> None:
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)}: expected one of them")
    mode = chosen[0] if chosen else ""
    if mode == "--take-back" and (not image or verdict):
        raise click.UsageError("--take-back: expected MODEL IMAGE --take-back")
    if mode in ("--from", "--list", "--summary") and image:
        raise click.UsageError(f"{mode}: expected no IMAGE")
    if not mode and not (image and verdict):
        raise click.UsageError("expected MODEL IMAGE VERDICT, or --take-back, --from, --list or --summary")
    if scored and mode != "--summary":
        raise click.UsageError("--scored: expected with --summary")


def _answer(found: Answered, image: str, text: str, by: str, score: float | None, *, keep: bool, as_json: bool) -> None:
    from vqi.verdicts import answering
    from vqi.verdicts.records import said_of

    said = said_of(text)
    data = _bytes(image)
    scored = _scored_before(found, image) if data is None else _scored(found, image, data, score)
    done = answering.answer(found.book, scored, said, by, data if keep else None)
    if as_json:
        _print_json({"new": done.new, "verdict": done.verdict.model_dump(mode="json"), **_plain(done.standing)})
        return
    click.echo(f"{done.verdict.name}: {done.verdict.text}, {done.verdict.outcome} of v{done.verdict.version}, by "
               f"{by}{'' if done.new else ': kept before, nothing was written'}")  # fmt: skip
    _print_disagreement(done.standing)


def _take_back(found: Answered, image: str, by: str, *, as_json: bool) -> None:
    from vqi.digests import sha256_bytes
    from vqi.verdicts import answering

    data = _bytes(image)
    sha256 = image if data is None else sha256_bytes(data)
    done = answering.take_back(found.book, sha256, by, image)
    if as_json:
        _print_json({"taken_back": done.verdict.model_dump(mode="json"), **_plain(done.standing)})
        return
    stands = f"{done.standing.last.text} by {done.standing.last.by} counts" if done.standing else "nothing stands"
    click.echo(f"{done.verdict.name}: {done.verdict.text} by {by} is taken back; {stands} now")
    _print_disagreement(done.standing)


def _import(found: Answered, file: Path, by: str, *, keep: bool, as_json: bool) -> None:
    from datetime import UTC, datetime

    from vqi.models.answers import Thresholds
    from vqi.verdicts.table import BadRowsError, Defaults, import_table

    defaults = Defaults(found.version, by, datetime.now(UTC), Thresholds(found.category).of)
    try:
        done = import_table(found.book, file, defaults, keep=keep)
    except BadRowsError as error:
        for problem in error.problems[:_MOST_PROBLEMS]:
            click.echo(f"error: {_shown(problem)}", err=True)
        if (more := len(error.problems) - _MOST_PROBLEMS) > 0:
            click.echo(f"error: ... and {more:,} more", err=True)
        raise
    if as_json:
        _print_json(done._asdict())
        return
    click.echo(f"{file}: {done.kept:,} verdicts kept; {done.known:,} were known; {done.unanswered:,} rows have none")


def _list(found: Answered, *, as_json: bool) -> None:
    from vqi.verdicts.standing import standing

    stands = sorted(standing(found.book.entries()).values(), key=lambda one: (one.disagree, one.last.at), reverse=True)
    if as_json:
        _print_json([_plain(one) for one in stands])
        return
    rows = [("photograph", "verdict", "", "version", "by", "at (UTC)", "kept", "sha256")]
    for one in stands:
        for last in reversed(one.verdicts):
            note = "people disagree" if one.disagree else last.outcome
            rows.append((_shown(last.name), last.text, note, f"v{last.version}", _shown(last.by), _time(last.at),
                         "photograph" if last.photograph else "digest", last.sha256))  # fmt: skip
    print_table(rows)


def _summary(uri: str, scored: int, *, as_json: bool) -> None:
    from vqi.models.answers import books_at
    from vqi.models.field import in_the_field, most_contradicted
    from vqi.pages.field import HEADER, OF_THE_PROMISE, OF_THE_RATE, row_of

    books, version = books_at(uri, whole=not scored)
    fields = most_contradicted([field for book in books for field in in_the_field(book, version, scored)])
    if as_json:
        _print_json([field.model_dump(mode="json") for field in fields])
        return
    print_table([HEADER, *(tuple(map(_shown, row_of(one))) for one in fields)])
    for note in () if scored else (OF_THE_RATE, OF_THE_PROMISE, _WITH_SCORED):
        for line in textwrap.wrap(note, _WIDTH):
            click.echo(f"  {line}")


def in_words(model: str) -> list[str]:
    """What operators said of a version, for ``vqi models show``; nothing where nobody did.

    Args:
        model: Its uri.
    """
    from vqi.errors import VqiError
    from vqi.models.answers import book_of
    from vqi.models.field import in_the_field
    from vqi.models.overview import version_in_store
    from vqi.pages.field import answers, promise

    category, version = version_in_store(model)
    book = book_of(category)
    if book is None:
        return []
    try:
        (field,) = in_the_field(book, version)
    except VqiError as error:  # the rest of what is shown does not depend on it
        return [_shown(str(error))]
    if not field.answered:
        return []
    return [_shown(told) for told in (answers(field), promise(field)) if told]


def _scored(found: Answered, image: str, data: bytes, score: float | None) -> Scored:
    """A photograph with its score: the given one, or that of the model, which is loaded."""
    from vqi.digests import sha256_bytes
    from vqi.models.answers import Thresholds
    from vqi.models.reading import Stored
    from vqi.verdicts.book import ending_of
    from vqi.verdicts.records import Scored

    sha256 = sha256_bytes(data)
    if score is not None:
        ending_of(data, image)  # whether it is a photograph
        return Scored(sha256, image, found.version, score, Thresholds(found.category).of(found.version))
    from vqi.models.loading import load

    result = load(found.category.uri_of(found.version)).score(Stored(image, lambda: data))
    return Scored(sha256, image, found.version, result.score, result.threshold)


def _scored_before(found: Answered, sha256: str) -> Scored:
    """A photograph that somebody answered, by its digest.

    Raises:
        VqiError: Nobody did.
    """
    from vqi.errors import VqiError
    from vqi.verdicts.records import Scored
    from vqi.verdicts.standing import standing

    stands = standing(found.book.of(sha256)).get(sha256)
    if stands is None:
        raise VqiError(f"{sha256}: no verdict on a photograph of that digest: name its file, which is then scored")
    last = stands.last
    return Scored(sha256, last.name, last.version, last.score, last.threshold)


def _print_disagreement(stands: Standing | None) -> None:
    if stands is not None and stands.disagree:
        told = ", ".join(f"{one.text} by {one.by}" for one in stands.verdicts)
        click.echo(f"people disagree: {_shown(told)}; the last one counts, and it does not train")


def _plain(stands: Standing | None) -> dict[str, Any]:
    verdicts = [one.model_dump(mode="json") for one in stands.verdicts] if stands else []
    return {"standing": verdicts, "disagree": bool(stands and stands.disagree)}


def _bytes(image: str) -> bytes | None:
    """The bytes of a photograph's file; None where a digest is named.

    Raises:
        VqiError: It cannot be read.
    """
    from vqi.models.reading import bytes_of

    if _DIGEST.fullmatch(image) and not Path(image).exists():
        return None
    return bytes_of(image, image, _most_pixels())


def _most_pixels() -> int:
    from vqi.config import Preprocess, defaults

    return int(defaults(Preprocess).max_pixels)
