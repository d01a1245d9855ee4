"""Anomaly maps as pictures: one colour scale for a model, overlays, outlines of masks, data URIs of a bounded size."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion

Pixels = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# Anchors of matplotlib's "inferno" (CC0): evenly rising lightness, so also readable colour-blind and in grey.
COLOURS = ("#000004", "#1f0c48", "#550f6d", "#88226a", "#ba3655", "#e35933", "#f98e09", "#f9cb35", "#fcffa4")
_ANCHORS = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS], np.float64)
_OUTLINE = (0, 220, 255)  # cyan is not among the colours of the scale
HIGHEST = 8.0  # times the limit of good parts: from here on the colour is the hottest
LOWEST = 0.5  # times that limit: up to here there is none
_STRENGTH = 0.75  # opacity of the hottest pixel of an overlay
_SIDES = (512, 384, 320, 256, 192, 128, 96, 64, 48)  # pictures of a report, pixels; smaller ones where there are many
_QUALITY = 85


def on_scale(anomaly_map: Map, map_limit: float) -> Map:
    """A map of any shape on the scale of the colours: 0 at ``LOWEST`` times the limit, 1 at ``HIGHEST`` times.

    What is usual of good parts stays dark, and colour begins where a place is nearly as anomalous as their most
    anomalous ones. From there it goes by ratios, because a defect may be a little or many times beyond that. The limit
    is that of good parts, so that a picture does not depend on which others are drawn with it.
    """
    lowest = np.float32(max(LOWEST * map_limit, float(np.finfo(np.float32).tiny)))
    share = (np.log(np.maximum(anomaly_map, lowest)) - np.log(lowest)) / math.log(HIGHEST / LOWEST)
    return np.asarray(np.minimum(share, 1), np.float32)


def coloured(values: Map) -> Pixels:
    """Values in [0, 1], (H, W), as colours (H, W, 3)."""
    at = np.linspace(0, 1, len(_ANCHORS))
    channels = [np.interp(values, at, _ANCHORS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)  # (H, W, 3)


def overlaid(image: Pixels, values: Map, mask: Mask | None = None) -> Pixels:
    """An image (H, W, 3) with values (H, W) in [0, 1] over it, opaque where high, and the outline of a mask."""
    opacity = _STRENGTH * np.sqrt(values)[:, :, None]  # (H, W, 1)
    mixed = ((1 - opacity) * image + opacity * coloured(values)).round().astype(np.uint8)
    return mixed if mask is None else outlined(mixed, mask)


def outlined(image: Pixels, mask: Mask) -> Pixels:
    """An image with a bright line just outside a mask, on a dark one so that it shows on any background."""
    around = _grown(mask, max(1, image.shape[0] // 112))
    result = image.copy()
    result[_grown(around, 1) & ~mask] = 0
    result[around & ~mask] = _OUTLINE
    # a mask over the whole image has no outside: line its inner edge
    if mask.all():
        result[mask & ~binary_erosion(mask)] = _OUTLINE
    return result


def _grown(mask: Mask, pixels: int) -> Mask:
    return np.asarray(binary_dilation(mask, np.ones((3, 3), bool), iterations=pixels))


def data_uris(pictures: Sequence[Pixels], budget: int) -> list[str]:
    """Pictures as JPEG data URIs, all of one size: the largest side that stays within the budget in bytes.

    With very many pictures the smallest side is used even if it exceeds the budget.
    """
    largest = max((max(picture.shape[:2]) for picture in pictures), default=0)
    useful = [side for side in _SIDES[1:] if side < largest]  # a larger one changes nothing
    for side in (_SIDES[0], *useful):
        uris = [_data_uri(picture, side) for picture in pictures]
        if sum(map(len, uris)) <= budget:
            break
    return uris


def _data_uri(picture: Pixels, side: int) -> str:
    file = io.BytesIO()
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)  # never enlarges
    image.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
