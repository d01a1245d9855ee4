"""How far an exported file is from the library, on photographs that both score. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vqi.artifacts.detector import DetectorArtifact
from vqi.errors import VqiError
from vqi.models.model import ENGINE_TOLERANCE
from vqi.models.result import Result
from vqi.sizes import Size

Pixels = npt.NDArray[np.uint8]
Compiled = Callable[[Any], Any]

# How far scores may be apart, as a share. bf16: a program may compute one operation more or less in it.
BOUNDS = {"fp32": 1e-4, "bf16": ENGINE_TOLERANCE}
# How far int8 may be apart over good photographs, as shares of the spread of good scores: the standard deviation of the
# differences, and the shift. Noise of a share r of the spread takes 0.121 r^2 of an AUROC at most, where scores are
# normally distributed: 0.005. A shift that scores share takes nothing of it. It is said of a score in the middle of the
# good ones, by what is added to squared scores: photographs that the model was trained on have low scores, which the
# same noise moves farther.
INT8_NOISE, INT8_SHIFT = 0.2, 0.5
_TINY = float(np.finfo(np.float32).tiny)
_MAP = 4  # times the bound of a score: of a cell, as a share of the map's highest; it is a square, and not a mean


@dataclass(frozen=True)
class Parity:
    """What was compared, and the largest difference of a score, as a share of it."""

    photographs: int
    exact: float  # where a photograph has the size that the network sees
    resized: float  # where it has another
    flips: int  # photographs with another decision, all of them nearer to the threshold than the bound

    def __str__(self) -> str:
        return (
            f"compared on {self.photographs} photographs; scores at most {self.exact:.1e} apart, {self.resized:.1e} "
            f"where a photograph is resized; {self.flips} other decisions"
        )


@dataclass(frozen=True)
class Int8Parity:
    """What was compared with the library in fp32, and the difference of good photographs' scores."""

    photographs: int
    good: int  # of them, which were not quantised on
    noise: float  # the standard deviation of the differences of their scores, as a share of the spread of good scores
    shift: float  # of a score in the middle of the good ones, likewise
    flips: int  # photographs with another decision, all of them nearer to the threshold than that spread

    def __str__(self) -> str:
        return (
            f"compared with fp32 on {self.photographs} photographs; scores of the {self.good} good ones that it was "
            f"not quantised on are apart by {self.noise:.2f} of the spread of good scores (allowed {INT8_NOISE}), "
            f"around a shift of {self.shift:.2f} (allowed {INT8_SHIFT}); {self.flips} other decisions"
        )


def compare(
    compiled: Compiled, results: Iterable[Result], artifact: DetectorArtifact, precision: str, size: Size
) -> Parity:
    """Compare a file with the library.

    Args:
        compiled: The file, as a program runs it: from (1, H, W, 3) uint8 to the outputs by name.
        results: The library's, each with its photograph.
        artifact: The detector.
        precision: Of the file.
        size: Of the images that the network sees.

    Raises:
        VqiError: They are farther apart than the bound of the precision, or decide otherwise and are not that near to
            the threshold; with the figures.
    """
    worst, count, flips = {False: 0.0, True: 0.0}, 0, 0
    for result in results:
        pixels = _photograph(result)
        is_resized = pixels.shape[:2] != size
        said = compiled(pixels[None])
        differs, flipped = _difference(said, result, artifact, BOUNDS[precision])
        worst[is_resized] = max(worst[is_resized], differs)
        count, flips = count + 1, flips + flipped
    return Parity(count, worst[False], worst[True], flips)


def _difference(said: Any, result: Result, artifact: DetectorArtifact, bound: float) -> tuple[float, bool]:
    """Of one photograph: of the scores, and whether the decision is another."""
    score, flagged, p_value = (said[name].item() for name in ("score", "anomalous", "p_value"))
    differs = abs(score - result.score) / max(result.score, _TINY)
    highest = max(float(result.map.max()), _TINY)
    of_map = float(np.abs(said["anomaly_map"][0] - result.map).max()) / highest
    high, low = artifact.p_values(result.score * np.array([1 - bound, 1 + bound]))
    near = abs(result.score - result.threshold) <= bound * result.threshold
    same = flagged == result.flagged
    if not (differs <= bound and of_map <= _MAP * bound and (same or near) and low - 1e-6 <= p_value <= high + 1e-6):
        raise VqiError(
            f"the file does not score as the library does, and is not written: a photograph of {result.width} x "
            f"{result.height} pixels ({result.name or 'made up'}): score {score:.6g} instead of {result.score:.6g} "
            f"({differs:.2g} apart, allowed {bound:.2g}), map {of_map:.2g} apart (allowed {_MAP * bound:.2g}), "
            f"anomalous {flagged} instead of {result.flagged}, p-value {p_value:.4g} instead of {result.p_value:.4g}"
        )
    return differs, not same


def compare_int8(
    compiled: Compiled, good: Iterable[Result], others: Iterable[Result], artifact: DetectorArtifact
) -> Int8Parity:
    """Compare a file whose network computes in int8 with the library in fp32.

    Args:
        compiled: The file, as a program runs it: from (1, H, W, 3) uint8 to the outputs by name.
        good: The library's, each with its photograph, which shows a good part and was not quantised on.
        others: The library's of any other photographs.
        artifact: The detector.

    Raises:
        VqiError: The good ones are farther apart than ``INT8_NOISE`` or ``INT8_SHIFT``, or a photograph is decided
            otherwise and is not near to the threshold; with the figures.
    """
    low, middle, high = np.quantile(artifact.calibration_scores, [0.16, 0.5, 0.84])  # a standard deviation to each side
    spread = max(float(high - low) / 2, _TINY)
    differences, added, count, flips = [], [], 0, 0
    for is_good, result in chain(((True, one) for one in good), ((False, one) for one in others)):
        score, flipped = _int8_score(compiled, result, artifact, spread)
        if is_good:
            differences.append((score - result.score) / spread)
            added.append((score**2 - result.score**2) / max(2 * float(middle) * spread, _TINY))
        count, flips = count + 1, flips + flipped
    noise, shift = float(np.std(differences)), float(np.mean(added))
    if not (noise <= INT8_NOISE and abs(shift) <= INT8_SHIFT):
        raise VqiError(
            f"the file in int8 does not score as the library does in fp32, and is not written: {len(differences)} good "
            f"photographs that it was not quantised on are apart by {noise:.2g} of the spread of good scores (allowed "
            f"{INT8_NOISE}), around a shift of {shift:.2g} (allowed {INT8_SHIFT}): export it as fp32 or bf16, or name "
            "photographs that the model was not trained on"
        )
    return Int8Parity(count, len(differences), noise, shift, flips)


def _int8_score(compiled: Compiled, result: Result, artifact: DetectorArtifact, spread: float) -> tuple[float, bool]:
    """The file's score of one photograph, and whether the decision is another; what it says besides belongs to it."""
    said = compiled(_photograph(result)[None])
    score, flagged, p_value = (said[name].item() for name in ("score", "anomalous", "p_value"))
    exact = BOUNDS["fp32"]  # what judges the features is as in an fp32 file; it sums in float32
    high, low = artifact.p_values(score * np.array([1 - exact, 1 + exact]))
    of_score = flagged != (score <= result.threshold) and low - exact <= p_value <= high + exact
    same = flagged == result.flagged
    near = abs(result.score - result.threshold) <= spread
    if not (of_score and np.isfinite(said["anomaly_map"]).all() and (same or near)):
        raise VqiError(
            f"the file in int8 does not decide as the library does in fp32, and is not written: a photograph of "
            f"{result.width} x {result.height} pixels ({result.name or 'made up'}): score {score:.6g} instead of "
            f"{result.score:.6g}, anomalous {flagged} instead of {result.flagged}, p-value {p_value:.4g} instead of "
            f"{result.p_value:.4g}; threshold {result.threshold:.6g}, another decision allowed within {spread:.2g} of "
            "it: export it as fp32 or bf16"
        )
    return score, not same


def _photograph(result: Result) -> Pixels:
    if result.photograph is None:
        raise ValueError("a result without its photograph: score with keep=True")
    return result.photograph


def made_up(size: Size) -> Iterator[Pixels]:
    """Photographs (H, W, 3) of several sizes, the same in each call: soft colours, some with noise, and a rectangle."""
    tall, wide = size
    sizes = [(tall, wide)] * 4
    sizes += [(2 * tall, 2 * wide), (3 * tall // 2, 2 * wide), (tall + 13, wide - 7), (tall // 2, wide), (301, 199)]
    sizes += [(4 * tall, wide + 5)]
    draw = np.random.default_rng(0)
    for number, (height, width) in enumerate(sizes):
        colours = draw.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        soft = np.asarray(Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC), np.int16)
        noise = draw.integers(-20, 21, soft.shape, dtype=np.int16) * (number % 2)
        pixels = np.clip(soft + noise, 0, 255).astype(np.uint8)
        top, left = draw.integers(0, height // 2), draw.integers(0, width // 2)
        pixels[top : top + height // 4, left : left + width // 4] = draw.integers(0, 256, 3)
        yield pixels
