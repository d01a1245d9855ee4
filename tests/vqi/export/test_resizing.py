"""Photographs are resized in an exported file as Pillow resizes them, to the last level: by both run times."""

from collections.abc import Callable

import numpy as np
import onnxruntime
import openvino
import pytest
from PIL import Image

from vqi.export import onnx_resizing, resizing
from vqi.sizes import Size

SIZES = [(1, 1), (2, 500), (30, 40), (64, 64), (63, 65), (80, 80), (128, 128), (200, 300), (480, 640), (900, 1200)]

Resize = Callable[[np.ndarray], np.ndarray]


def by_openvino(size: Size) -> Resize:
    compiled = openvino.Core().compile_model(resizing.resizing(size), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda pixels: compiled(pixels[None])[0][0]


def by_onnx_runtime(size: Size) -> Resize:
    content = onnx_resizing.resizing(size).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {"image": pixels[None]})[0][0]


each = pytest.mark.parametrize("by", [by_openvino, by_onnx_runtime])


def compare(resize: Resize, size: Size, pixels: np.ndarray) -> None:
    wanted = np.asarray(Image.fromarray(pixels).resize((size.width, size.height), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(resize(pixels), wanted, str(pixels.shape))


@each
@pytest.mark.parametrize("size", [Size(64, 64), Size(100, 100), Size(96, 32), Size(40, 120)], ids=str)
def test_pixels_are_those_of_pillow(size: Size, by: Callable[[Size], Resize]) -> None:
    resize = by(size)
    for height, width in SIZES:
        draw = np.random.default_rng(height * width)
        compare(resize, size, draw.integers(0, 256, (height, width, 3), dtype=np.uint8))


@each
@pytest.mark.parametrize("size", [Size(64, 64), Size(96, 32)], ids=str)
def test_pixels_are_those_of_pillow_whichever_way_it_takes_first(size: Size, by: Callable[[Size], Resize]) -> None:
    """The height is first where it has more than twice as many pixels too many as the width."""
    resize, draw, (tall, wide) = by(size), np.random.default_rng(0), size
    edges = [(tall + 2 * more + way, wide + more) for more in (-20, 0, 1, 30) for way in (-1, 0, 1, 2)]
    for height, width in [*edges, *draw.integers(1, 300, (40, 2)).tolist()]:
        compare(resize, size, draw.integers(0, 256, (height, width, 3), dtype=np.uint8))


@each
def test_white_stays_white(by: Callable[[Size], Resize]) -> None:
    """Weights that were rounded may be more than a one together."""
    size = Size(64, 64)
    resize = by(size)
    for height, width in SIZES:
        compare(resize, size, np.full((height, width, 3), 255, np.uint8))
