"""Photographs are resized in the exported file as Pillow resizes them, to the last level."""

import numpy as np
import openvino
import pytest
from PIL import Image

from vqi.export.resizing import resizing

SIZES = [(1, 1), (2, 500), (30, 40), (64, 64), (63, 65), (80, 80), (128, 128), (200, 300), (480, 640), (900, 1200)]


@pytest.mark.parametrize("size", [64, 100])
def test_pixels_are_those_of_pillow(size: int) -> None:
    compiled = openvino.Core().compile_model(resizing(size), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for height, width in SIZES:
        pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
        wanted = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(compiled(pixels[None])[0][0], wanted, f"{height} x {width}")


def test_a_tall_photograph_is_resized_in_another_order() -> None:
    compiled = openvino.Core().compile_model(resizing(64), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    pixels = np.random.default_rng(0).integers(0, 256, (200, 50, 3), dtype=np.uint8)
    wanted = np.asarray(Image.fromarray(pixels).resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(compiled(pixels[None])[0][0].astype(int) - wanted).max() == 1
