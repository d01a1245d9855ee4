"""What a source has and the dataset has not, and why: a part of the catalog, of the data report and of the pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from vqi.formatting import count
from vqi.records import Record

Reason = Literal[
    "kind", "sub-folder", "apart", "train", "calibration", "validation", "outside", "no file", "closed", "temporary",
    "hidden", "other", "disagree", "unclear", "digest", "known", "contradicted", "tested",
]  # fmt: skip

REASONS: tuple[Reason, ...] = get_args(Reason)
EXAMPLES = 3  # paths kept for each reason
ENDINGS = 8  # kept for each reason; the most frequent ones

# What each reason says of its files, and what to do where photographs are missing.
_WORDS: dict[Reason, tuple[str, str, str]] = {
    "kind": ("photograph", "of a kind that is not read", "save as PNG, JPEG or TIFF"),
    "sub-folder": ("image", "outside the layout, in sub-folders", "move them up, next to the others"),
    "train": (
        "image",
        "outside the layout, in train but not in train/good",
        "move good parts to train/good, defective ones to test",
    ),
    "apart": (
        "image",
        "in a sub-folder of good parts that is called after defects, masks or previews",
        "move defective parts to test/<type of defect>, and give a folder of good ones another name",
    ),
    "calibration": (
        "image",
        "outside the layout, in calibration but not in calibration/good",
        "only good parts set the threshold: move them to calibration/good, defective ones to test",
    ),
    "validation": (
        "image",
        "outside the layout, in a folder for validation",
        "if they are good parts that should set the threshold, move them to calibration/good, else to test",
    ),
    "outside": ("image", "outside the layout", "see 'Your own photographs' in the README for where images belong"),
    "no file": ("entry", "that is a link to nowhere or back, a FIFO, a socket or a device", "remove it"),
    "closed": ("folder", "that cannot be read", "give this user the right to read it"),
    "temporary": ("file", "of editors and transfers: locks, backups, parts", ""),
    "hidden": ("file", "that is hidden, or of the operating system", ""),
    "other": ("file", "that is no image", ""),
    # of operators' verdicts
    "disagree": (
        "photograph",
        "on which people disagree",
        "'vqi verdict MODEL --list' says who; one of them takes the verdict back",
    ),
    "unclear": ("photograph", "whose verdict is unclear", ""),
    "digest": ("photograph", "with a verdict and of which only the digest is kept", ""),
    "known": ("photograph", "with a verdict that is in the source already", ""),
    "contradicted": (
        "photograph",
        "that is in the source as what its verdict says it is not",
        "move it in the source, or take the verdict back",
    ),
    "tested": ("photograph", "answered as good, of a part that a test image shows", ""),
}
_MANY = {
    "entry": "entries",
    "that is a link to nowhere or back, a FIFO, a socket or a device": "that are links to nowhere or back, FIFOs, "
    "sockets or devices",
    "that is hidden, or of the operating system": "that are hidden, or of the operating system",
    "that is no image": "that are no images",
    "that is in the source as what its verdict says it is not": "that are in the source as what their verdicts say "
    "they are not",
    "whose verdict is unclear": "whose verdicts are unclear",
    "with a verdict that is in the source already": "with verdicts that are in the source already",
    "with a verdict and of which only the digest is kept": "with verdicts and of which only the digests are kept",
}


class LeftOut(Record):
    """Files of a source that are not in the dataset, for one reason."""

    category: str  # '' for what is in no category
    reason: Reason
    files: int
    endings: dict[str, int]  # of their names, such as ".heic", the most frequent ones
    examples: tuple[str, ...]  # paths in the source, made printable

    @property
    def photographs(self) -> bool:
        """Whether they may be photographs that somebody expects to be used."""
        return bool(_WORDS[self.reason][2])

    @property
    def text(self) -> str:
        """How many, why, which, and what to do, in one line."""
        one, why, to_do = _WORDS[self.reason]
        why = why if self.files == 1 else _MANY.get(why, why)
        kinds = ", ".join(f"{ending} {number}" for ending, number in self.endings.items())
        kinds = f" ({kinds})" if kinds and self.reason in ("kind", "temporary", "other") else ""
        to_do = f"; {to_do}" if to_do else ""
        return f"{count(self.files, one, _MANY.get(one))} {why}{kinds}, for example {self.examples[0]}{to_do}"


class Unreadable(Record):
    """An image that could not be read, and why."""

    path: str
    reason: str


def merged(found: Iterable[LeftOut]) -> tuple[LeftOut, ...]:
    """What several categories left out as one list, by reason, in the order of ``Reason``."""
    by_reason: dict[Reason, list[LeftOut]] = {reason: [] for reason in _WORDS}
    for one in found:
        by_reason[one.reason].append(one)
    return tuple(_together(reason, members) for reason, members in by_reason.items() if members)


def of_category(found: Iterable[LeftOut], category: str) -> tuple[LeftOut, ...]:
    """What concerns a category: what was left out in it, and what is in no category at all."""
    return tuple(one for one in found if one.category in (category, ""))


def missing_photographs(left_out: Sequence[LeftOut]) -> list[str]:
    """What to say where the source has photographs that are not used."""
    return [f"Not used: {one.text}." for one in merged(left_out) if one.photographs]


def _together(reason: Reason, members: Sequence[LeftOut]) -> LeftOut:
    endings: Counter[str] = Counter()
    for one in members:
        endings.update(one.endings)
    return LeftOut(
        category="",
        reason=reason,
        files=sum(one.files for one in members),
        endings=dict(endings.most_common(ENDINGS)),
        examples=tuple(path for one in members for path in one.examples)[:EXAMPLES],
    )
