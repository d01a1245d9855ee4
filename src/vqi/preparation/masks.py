"""Which mask belongs to which image, and what is wrong with masks: pixel figures are measured against them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from vqi.artifacts.data_report import MaskProblem
from vqi.datasets.layout import MASK_ENDING, Place, place_of
from vqi.photographs.decoding import Decoded, UnreadableImage, decode_mask, resize_mask
from vqi.sizes import Size

MOST = 0.5  # of an image: a mask that marks more is worth a look
EDGE = 0.9  # of an image's edge: a mask that marks so much of it and not all inside is the wrong way round

Key = tuple[str, str]  # type of defect, stem of the image's name


def by_image(places: Mapping[str, Place]) -> dict[str, str]:
    """The mask of each image that has one, and one only, that no other image could have."""
    images, masks = _images(places), _masks(places)
    return {
        images[key][0]: members[0]
        for key, members in masks.items()
        if len(members) == 1 and len(images.get(key, ())) == 1
    }


def problems(names: Iterable[str], used: Mapping[str, str | None]) -> list[MaskProblem]:
    """Masks that are not used, and, where a category has masks, defective images without one.

    Args:
        names: All paths of the shard.
        used: The images, with their masks.
    """
    places = {name: place for name in sorted(names) if (place := place_of(name)) is not None}
    if not any(place.split == "ground_truth" for place in places.values()):
        return []
    taken, images, masks = set(used.values()), _images(places), _masks(places)
    found = [
        MaskProblem(path=name, problem=_why_unused(name, place, images, masks))
        for name, place in places.items()
        if place.split == "ground_truth" and name not in taken
    ]
    lacking = [name for name, mask in used.items() if places[name].label and mask is None]
    return found + [
        MaskProblem(path=name, problem="a defective image without a mask, where others have one") for name in lacking
    ]


def load(
    name: str, data: bytes, image: Decoded, max_pixels: int, *, is_defect: bool
) -> tuple[npt.NDArray[np.bool_] | None, tuple[str, ...]]:
    """The mask of an image, of the size of its pixels, and what is wrong with it; None where it cannot be used."""
    try:
        full = decode_mask(data, name, max_pixels)
    except UnreadableImage as error:
        return None, (f"unreadable: {error.reason}",)
    height, width = full.shape
    if (width, height) != (image.width, image.height):
        turned = ", turned by 90 degrees" if (height, width) == (image.width, image.height) else ""
        sizes = f"{width} x {height} pixels, its image {image.width} x {image.height}{turned}"
        return None, (f"{sizes}: the mask is not used; save it in the size of its image",)
    size = Size(*image.pixels.shape[:2])
    mask = resize_mask(full, size)
    if is_defect and not mask.any():
        return mask, ("marks nothing" if not full.any() else f"marks nothing any more at {size} pixels",)
    return mask, tuple(_doubts(full, is_defect=is_defect))


def _doubts(full: npt.NDArray[np.bool_], *, is_defect: bool) -> Iterator[str]:
    """What may be wrong with a mask (height, width) that can be used."""
    share = float(full.mean())
    edge = np.concatenate([full[0], full[-1], full[:, 0], full[:, -1]])
    if not is_defect and share:
        yield f"marks {share:.0%} of a good image: leave out the mask, or move the image to its type of defect"
    elif share == 1:
        yield "marks the whole image: only black pixels are no defect, so paint black all that is not the defect"
    elif share > MOST and edge.mean() >= EDGE:
        yield f"marks {share:.0%} of the image, its edge too: it is inverted; a defect is white, all else black"
    elif share > MOST:
        yield f"marks {share:.0%} of the image: is it the defect, or the part? All that is no defect has to be black"


def _images(places: Mapping[str, Place]) -> dict[Key, list[str]]:
    """The test images by what their mask is called after."""
    found: dict[Key, list[str]] = defaultdict(list)
    for name, place in sorted(places.items()):
        if place.split == "test":
            found[place.defect_type, place.stem].append(name)
    return found


def _masks(places: Mapping[str, Place]) -> dict[Key, list[str]]:
    """The masks by the image that they are called after."""
    found: dict[Key, list[str]] = defaultdict(list)
    for name, place in sorted(places.items()):
        if place.split == "ground_truth" and place.stem.endswith(MASK_ENDING):
            found[place.defect_type, place.stem.removesuffix(MASK_ENDING)].append(name)
    return found


def _why_unused(
    name: str, place: Place, images: Mapping[Key, Sequence[str]], masks: Mapping[Key, Sequence[str]]
) -> str:
    """Why a mask is not used, and what to do."""
    stem = place.stem.removesuffix(MASK_ENDING)
    owners = images.get((place.defect_type, stem), [])
    ending = name.rpartition(".")[2]
    if owners and not place.stem.endswith(MASK_ENDING):
        return f"a mask without {MASK_ENDING} in its name is not used: rename it to {stem}{MASK_ENDING}.{ending}"
    if len(owners) > 1:
        return f"could belong to {' or '.join(owners)}: not used; give the images different names, and masks with these"
    if owners:
        others = ", ".join(masks[place.defect_type, stem])
        return f"one of several masks of {owners[0]}: none is used; keep one of {others}"
    elsewhere = sorted(kind for kind, other in images if other == stem)
    if elsewhere:
        return f"a mask without its image: that is in test/{elsewhere[0]}; move the mask to ground_truth/{elsewhere[0]}"
    return "a mask without its image: expected test/<defect type>/<name> for <name>_mask"
