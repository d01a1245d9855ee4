"""What is kept of what operators say: a verdict on a photograph, and that one was taken back. A line of JSON each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Literal, NamedTuple, Self, get_args

from pydantic import AfterValidator, AwareDatetime, Field, TypeAdapter, ValidationError, model_validator

from vqi.digests import sha256_bytes
from vqi.errors import VqiError, printable, unknown
from vqi.records import Record, cut, describe

Word = Literal["good", "defect", "unclear"]
# What a verdict says of the model: "missed defect" and "good part" are of photographs that it did not flag.
Outcome = Literal["false alarm", "true defect", "missed defect", "good part", "unclear"]

WORDS: tuple[Word, ...] = get_args(Word)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
LONGEST = 200  # characters of the name of a person or of a file
LONGEST_TYPE = 80  # characters of a type of defect, which becomes the name of a folder
_AGAIN = "remove that line, or the file"
_IDENTITY = 16  # digits


def _on_one_line(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("expected printable characters, none of them a blank at an end")
    return text


def _is_folder(name: str) -> str:
    """A type of defect that can be the name of a folder, and of one of defective parts."""
    if name.startswith(".") or "/" in name or "\\" in name:
        raise ValueError(f"expected a type of defect without slashes and without a dot before it, got {cut(name)!r}")
    if name.casefold() in WORDS:
        raise ValueError(f"expected a type of defect, such as scratch, got {name!r}")
    return name


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(_on_one_line)]
DefectType = Annotated[str, Field(max_length=LONGEST_TYPE), AfterValidator(_on_one_line), AfterValidator(_is_folder)]


def check_type(verdict: str, defect_type: str) -> None:
    """Refuse a type of defect with a verdict that says of none."""
    if defect_type and verdict != "defect":
        raise ValueError(f"a type of defect, {defect_type!r}, with the verdict {verdict!r}")


class Said(Record):
    """A verdict in words: ``good``, ``defect``, ``defect:scratch``, ``unclear``."""

    verdict: Word
    defect_type: DefectType = ""  # '' where it is not known, and for all that is no defect

    @model_validator(mode="after")
    def _only_defects_have_types(self) -> Self:
        check_type(self.verdict, self.defect_type)
        return self

    @property
    def text(self) -> str:
        """As people write it."""
        return f"{self.verdict}:{self.defect_type}" if self.defect_type else self.verdict


class Verdict(Said):
    """What a person said of a photograph, whose score was above the threshold of a version or not."""

    format: Literal["vqi.verdict/1"] = "vqi.verdict/1"
    sha256: Sha256  # of the photograph's file
    name: Name  # of that file, as the person saw it
    version: int = Field(ge=0)  # of the model that scored it; 0 for one that was never published
    score: float = Field(ge=0)
    threshold: float = Field(ge=0)
    photograph: str = Field(default="", pattern=r"^([0-9a-f]{64}\.[a-z0-9]+)?$")  # '' where it must not be kept
    by: Name
    at: AwareDatetime

    @property
    def flagged(self) -> bool:
        """Whether the model raised an alarm."""
        return self.score > self.threshold

    @property
    def outcome(self) -> Outcome:
        """What the verdict says of the model."""
        if self.verdict == "unclear":
            return "unclear"
        if self.verdict == "good":
            return "false alarm" if self.flagged else "good part"
        return "true defect" if self.flagged else "missed defect"

    @property
    def identity(self) -> str:
        """What tells it from all others."""
        return sha256_bytes(line_of(self))[:_IDENTITY]


class TakenBack(Record):
    """A verdict that no longer counts."""

    format: Literal["vqi.taken_back/1"] = "vqi.taken_back/1"
    sha256: Sha256  # of the photograph's file
    takes: str = Field(pattern=f"^[0-9a-f]{{{_IDENTITY}}}$")  # the identity of the verdict
    by: Name
    at: AwareDatetime


Entry = Verdict | TakenBack


class Scored(NamedTuple):
    """A photograph that a model scored."""

    sha256: str
    name: str
    version: int
    score: float
    threshold: float


def said_of(text: str) -> Said:
    """A verdict as people write it: ``good``, ``defect``, ``defect:scratch``, ``unclear``.

    Raises:
        VqiError: It is none of them.
    """
    word, _, kind = text.partition(":")
    word, kind = word.strip().casefold(), kind.strip()
    if word not in WORDS:
        raise unknown("verdict", word, WORDS)
    try:
        return Said.model_validate({"verdict": word, "defect_type": kind})
    except ValidationError as error:
        raise VqiError(f"verdict {cut(text)!r}: {describe(error)}") from error


def verdict_of(scored: Scored, said: Said, by: str, at: AwareDatetime) -> Verdict:
    """The record of a verdict whose photograph is not kept.

    Raises:
        VqiError: A value is none that it can have, such as a score that is not finite.
    """
    try:
        return Verdict.model_validate(
            {**scored._asdict(), "name": file_name(scored.name), **said.model_dump(), "by": by, "at": at}
        )
    except ValidationError as error:
        raise VqiError(f"{file_name(scored.name)}: {describe(error)}") from error


def file_name(path: str) -> str:
    """The name of a file, without its folders, at a length that is kept."""
    return printable(path.replace("\\", "/").rstrip("/").rpartition("/")[2]).strip()[-LONGEST:].strip() or "photograph"


def line_of(entry: Entry) -> bytes:
    """An entry as a line of JSON, always the same one."""
    return json.dumps(entry.model_dump(mode="json"), sort_keys=True).encode() + b"\n"


def lines_of(entries: Iterable[Entry]) -> bytes:
    """Entries as lines of JSON."""
    return b"".join(map(line_of, entries))


def entries_in(data: bytes, place: str, of: str = "") -> list[Entry]:
    """The entries in lines of JSON.

    Args:
        data: The lines.
        place: Where they are, for errors.
        of: The sha256 of the photograph whose entries are wanted; '' for all.

    Raises:
        VqiError: A line is damaged, or of another format.
    """
    found: list[Entry] = []
    wanted = of.encode()
    for number, line in enumerate(data.splitlines(), 1):
        if wanted not in line:
            continue
        try:
            entry = _entries().validate_json(line)
        except ValidationError as error:
            raise VqiError(f"{place}, line {number}: {describe(error)}; {_AGAIN}") from error
        if not of or entry.sha256 == of:
            found.append(entry)
    return found


@cache
def _entries() -> TypeAdapter[Entry]:
    return TypeAdapter(Annotated[Verdict | TakenBack, Field(discriminator="format")])
