"""How datasets are arranged in their archives, and where each file belongs in the MVTec AD layout.

Every arrangement tells from a member's name which category it belongs to, and then where the members of the requested
categories are placed. Folders above the categories, such as one folder around everything, do not matter. Images without
a split are at ``all/<defect type>``: ``vqi.datasets.splits`` divides them.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from vqi.datasets.layout import GOOD, MASK_ENDING, is_image_name
from vqi.datasets.placing import arranged, canonical
from vqi.errors import VqiError
from vqi.photographs.decoding import decode_mask

EVERY = ""  # the category of a file that all categories need
KOLEKTOR = "kolektor-sdd"
MAGNETIC_TILE = "magnetic-tile"
FREE = "free"  # of defects
MAX_PIXELS = 100_000_000

Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Placed:
    """A file of the layout and the member of the archive that it is."""

    category: str
    path: str
    member: str


@dataclass(frozen=True)
class Arrangement:
    """How a dataset is arranged in its archive."""

    # the category of a member, given its name and that of the archive; None for what is not part of the dataset
    category_of: Callable[[str, str], str | None]
    # the files of the layout, given the members' names, what reads them, and the archive's name
    place: Callable[[Iterable[str], Read, str], Iterator[Placed]]


def mvtec_category(member: str, archive: str) -> str | None:
    """``[.../]<category>/train/good/x.png``; an archive that begins with ``train`` is one category of its own name."""
    root, path = parted(member)
    if canonical(path, root) is None:
        return None
    return root.rstrip("/").rpartition("/")[2] or archive


def mvtec_place(members: Iterable[str], read: Read, archive: str) -> Iterator[Placed]:
    """The files as they are, in folders of good parts that are called ``good``."""
    yield from _placed({member: member for member in members}, archive)


def btad_category(member: str, archive: str) -> str | None:
    """``[.../]<01, 02 or 03>/<train, test or ground_truth>/<ok or ko>/x.bmp``."""
    return mvtec_category(member, archive)


def btad_place(members: Iterable[str], read: Read, archive: str) -> Iterator[Placed]:
    """``ok`` is good; masks have the names of their images. The split is the dataset's own."""
    yield from _placed({_btad_path(member): member for member in members}, archive)


def _btad_path(member: str) -> str:
    *folders, name = member.split("/")
    return "/".join([*folders, _mask_name(name) if folders[-2:-1] == ["ground_truth"] else name])


def parted(member: str) -> tuple[str, str]:
    """The folder of a member's category, with '/' at its end, and its path there.

    That is its last three parts; in a sub-folder of good parts, what follows the first folder with which it fits.
    """
    parts = member.split("/")
    last = max(len(parts) - 3, 0)
    for at in (last, *range(last)):
        root, path = "".join(f"{part}/" for part in parts[:at]), "/".join(parts[at:])
        if canonical(path, root) is not None:
            return root, path
    return "".join(f"{part}/" for part in parts[:last]), "/".join(parts[last:])


def _placed(named: Mapping[str, str], archive: str) -> Iterator[Placed]:
    """The files of each category; ``named``: members by the name that they should have."""
    within: dict[str, dict[str, str]] = defaultdict(dict)
    for name, member in named.items():
        if mvtec_category(name, archive) is not None:
            root, path = parted(name)
            within[root][path] = member
    for root, paths in within.items():
        category = root.rstrip("/").rpartition("/")[2] or archive
        for place, path in arranged(paths, root).items():
            yield Placed(category, place, paths[path])


def visa_category(member: str, archive: str) -> str | None:
    """``[.../]<category>/Data/<Images or Masks>/<Normal or Anomaly>/x.JPG``, and the table of the split."""
    parts = member.split("/")
    if parts[-2:] == ["split_csv", "1cls.csv"]:
        return EVERY
    return parts[-5] if len(parts) > 4 and parts[-4] == "Data" and is_image_name(parts[-1]) else None


def visa_place(members: Iterable[str], read: Read, archive: str) -> Iterator[Placed]:
    """The split of ``split_csv/1cls.csv``: 90 % of the normal images train, the others and the anomalous ones test."""
    names = set(members)
    tables = [name for name in names if visa_category(name, archive) == EVERY]
    if len(tables) != 1:
        raise VqiError(f"archive {archive}: expected one table split_csv/1cls.csv with the split, found {len(tables)}")
    root = tables[0].removesuffix("split_csv/1cls.csv")
    for row in csv.DictReader(io.StringIO(read(tables[0]).decode("utf-8-sig"))):
        image, mask = root + (row.get("image") or ""), root + (row.get("mask") or "")
        if image not in names:
            continue
        name = image.rpartition("/")[2]
        defect_type = GOOD if row.get("label") == "normal" else "anomaly"
        yield Placed(row["object"], f"{row['split']}/{defect_type}/{name}", image)
        if mask in names:
            ending = mask.rpartition(".")[2]
            stem = name.rpartition(".")[0]
            yield Placed(row["object"], f"ground_truth/{defect_type}/{stem}{MASK_ENDING}.{ending}", mask)


def kolektor_category(member: str, archive: str) -> str | None:
    """``[.../]kos<NN>/Part<N>.jpg`` and ``Part<N>_label.bmp``: one category."""
    parts = member.split("/")
    fits = len(parts) > 1 and parts[-2].startswith("kos") and is_image_name(parts[-1])
    return KOLEKTOR if fits else None


def kolektor_place(members: Iterable[str], read: Read, archive: str) -> Iterator[Placed]:
    """An all-black label means good. The dataset's folds are for learning with labels, so there is no split."""
    names = set(members)
    for member in sorted(names):
        stem = member.rpartition(".")[0]
        label = f"{stem}_label.bmp"
        if kolektor_category(member, archive) is None or stem.endswith("_label"):
            continue
        if label not in names:
            raise VqiError(f"archive {archive}: {member} has no {label} next to it")
        defective = bool(decode_mask(read(label), label, MAX_PIXELS).any())
        defect_type = "defective" if defective else GOOD
        name = "_".join(member.split("/")[-2:])
        yield Placed(KOLEKTOR, f"all/{defect_type}/{name}", member)
        if defective:
            mask = f"{name.rpartition('.')[0]}{MASK_ENDING}.bmp"
            yield Placed(KOLEKTOR, f"ground_truth/{defect_type}/{mask}", label)


def magnetic_tile_category(member: str, archive: str) -> str | None:
    """``[.../]MT_<defect type, or Free>/Imgs/x.jpg`` and ``x.png``, its mask: one category."""
    parts = member.split("/")
    fits = len(parts) > 2 and parts[-3].startswith("MT_") and parts[-2] == "Imgs" and is_image_name(parts[-1])
    return MAGNETIC_TILE if fits else None


def magnetic_tile_place(members: Iterable[str], read: Read, archive: str) -> Iterator[Placed]:
    """``MT_Free`` is good. The dataset has no split; the literature trains on 80 % of the good images."""
    names = set(members)
    for member in sorted(names):
        if magnetic_tile_category(member, archive) is None or not member.lower().endswith(".jpg"):
            continue
        kind, _, name = member.split("/")[-3:]
        defect_type = kind.removeprefix("MT_").lower()
        defect_type = GOOD if defect_type == FREE else defect_type
        yield Placed(MAGNETIC_TILE, f"all/{defect_type}/{name}", member)
        mask = f"{member.rpartition('.')[0]}.png"
        if defect_type != GOOD and mask in names:  # the masks of good tiles are black
            yield Placed(MAGNETIC_TILE, f"ground_truth/{defect_type}/{_mask_name(mask.rpartition('/')[2])}", mask)


def _mask_name(name: str) -> str:
    """``x_mask.png`` for ``x.png``; one that is called so already stays."""
    stem, dot, ending = name.rpartition(".")
    return name if stem.endswith(MASK_ENDING) else f"{stem}{MASK_ENDING}{dot}{ending}"


ARRANGEMENTS = {
    "mvtec": Arrangement(mvtec_category, mvtec_place),
    "btad": Arrangement(btad_category, btad_place),
    "visa": Arrangement(visa_category, visa_place),
    "kolektor": Arrangement(kolektor_category, kolektor_place),
    "magnetic-tile": Arrangement(magnetic_tile_category, magnetic_tile_place),
}
