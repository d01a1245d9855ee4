"""Why a file of a source is not in the dataset: told from its name and its place, and counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from vqi.artifacts.left_out import ENDINGS, EXAMPLES, REASONS, LeftOut, Reason
from vqi.datasets.layout import SPLITS, is_hidden, is_image_name
from vqi.datasets.words import is_apart, meaning_of
from vqi.errors import printable

# Endings of photographs that are not read. What has another one is taken for no image at all.
PHOTOGRAPHS = frozenset(
    """
    heic heif avif jxl jpx jpf jxr wdp hdp dng nef nrw cr2 cr3 crw arw sr2 srf raf orf rw2 pef srw x3f raw 3fr
    iiq exr hdr pfm dcm dicom fits fit psd psb xcf svg eps ico icns tga pcx sgi ras dds cine
    mp4 mov avi mkv npy npz mat jif
    """.split()  # noqa: SIM905 - a list of words
)
TEMPORARY_STARTS = (".#", "~$", ".~lock.", "#")
TEMPORARY_ENDS = ("~", ".swp", ".swo", ".tmp", ".part", ".partial", ".crdownload", ".lock", ".bak")
# Folders that others use for good images that do not train; they choose a model there, or take good and bad ones.
VALIDATION = frozenset(("val", "valid", "validate", "validation", "dev"))
LONGEST_ENDING = 12  # characters; what follows a later dot than that is hardly one


def reason_of(key: str) -> Reason:
    """Why the file ``key`` is left out, where it is known that it is."""
    *folders, name = key.split("/")
    if name.startswith(TEMPORARY_STARTS) or name.lower().endswith(TEMPORARY_ENDS):
        return "temporary"
    if any(map(is_hidden, (*folders, name))):
        return "hidden"
    if not is_image_name(name):
        return "kind" if is_photograph(name) else "other"
    splits = [SPLITS.get(part.casefold()) for part in folders]
    within = next((number for number, split in enumerate(splits) if split is not None), None)
    if within is None:
        return "validation" if any(part.casefold() in VALIDATION for part in folders) else "outside"
    kinds, below = folders[within + 1 : within + 2], folders[within + 2 :]
    if below:
        good = meaning_of(kinds[0]) == "good"
        return "apart" if good and any(map(is_apart, below)) else "sub-folder"
    split = splits[within]
    return split if split == "train" or split == "calibration" else "outside"


def is_photograph(name: str) -> bool:
    """Whether a file's name ends like that of a photograph of a kind that is not read."""
    return _ending(name).removeprefix(".") in PHOTOGRAPHS


def summary(
    keys: Iterable[str], odd: Mapping[str, Reason], roots: Mapping[str, str], wanted: Iterable[str] = ()
) -> tuple[LeftOut, ...]:
    """The files that were left out, counted by category and reason.

    Args:
        keys: Their paths in the source.
        odd: Those among them that are no plain files, and why.
        roots: The folder of each category in the source, with '/' at its end or '' for the source itself.
        wanted: The categories that were asked for; all when empty.
    """
    found: dict[tuple[str, Reason], list[str]] = defaultdict(list)
    chosen = set(wanted)
    for key in sorted(keys):
        category = next((roots[root] for root in _roots_of(key) if root in roots), "")
        if not category or not chosen or category in chosen:
            named = reason_of(key)
            plain = key not in odd or named in ("temporary", "hidden")
            found[category, named if plain else odd[key]].append(key)
    return tuple(
        LeftOut(
            category=category,
            reason=reason,
            files=len(members),
            endings=dict(Counter(_ending(key.rpartition("/")[2]) for key in members).most_common(ENDINGS)),
            examples=tuple(printable(key) for key in members[:EXAMPLES]),
        )
        for (category, reason), members in sorted(found.items(), key=lambda one: (one[0][0], REASONS.index(one[0][1])))
    )


def _roots_of(key: str) -> Iterable[str]:
    """The folders above a file, the nearest first: ``a/b/``, ``a/`` and '' for ``a/b/x.png``."""
    while key:
        key = key.rstrip("/").rpartition("/")[0]
        key = f"{key}/" if key else ""
        yield key


def _ending(name: str) -> str:
    stem, dot, ending = name.rpartition(".")
    usual = stem and dot and ending and len(ending) <= LONGEST_ENDING
    return f".{printable(ending.lower())}" if usual else "no ending"
