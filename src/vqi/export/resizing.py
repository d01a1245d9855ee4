"""Pillow's bilinear resize, from any size to one, in operations of OpenVINO: the same pixels, to the last level.

Pillow resizes along the width, then along the height, each time in whole numbers: of the weights, 22 bits are kept;
what lies half-way is decided by them. OpenVINO's own ``bilinear_pillow`` rounds otherwise. Here the weights are made
of whole numbers too, and the sums are exact: they are computed in two halves of 11 bits, because float32 holds 24.

Pillow takes the height first where it has more than twice as many pixels too many as the width. Such a photograph is
turned over its diagonal before and after: so what is first and second is decided by the order of the axes alone.

Operations are written so that OpenVINO has nothing to rewrite when it compiles them: a quotient, a difference, or a sum
that is multiplied would be replaced by others, which may not be computed in float32 (``vqi.export.openvino_file``).

Source: Pillow, ``src/libImaging/Resample.c`` (``precompute_coeffs``, ``normalize_coeffs_8bpc``,
``ImagingResampleInner``), version 13.0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vqi.models.exported_record import RESIZED
from vqi.sizes import Size

BITS, HALF_BITS = 22, 11
_HALF = np.float32(1 << HALF_BITS)


def resizing(size: Size) -> Any:
    """An ``openvino.Model`` from a photograph (1, H, W, 3) uint8 to (1, *size, 3) uint8."""
    import openvino
    from openvino import opset13 as ops

    photograph = ops.parameter([1, -1, -1, 3], np.uint8, name="image")
    shape = ops.shape_of(photograph, "i64")
    height, width = (ops.gather(shape, np.array([axis], np.int64), np.array(0, np.int64)) for axis in (1, 2))
    turned = _height_first(height, width, size)
    tall, wide = (np.array([side], np.int64) for side in size)
    first, second = ops.select(turned, height, width), ops.select(turned, width, height)
    to_first, to_second = ops.select(turned, tall, wide), ops.select(turned, wide, tall)
    most = max(size)
    there = ops.select(turned, np.array([0, 3, 2, 1]), np.array([0, 3, 1, 2]))
    back = ops.select(turned, np.array([0, 3, 2, 1]), np.array([0, 2, 3, 1]))
    pixels = ops.transpose(ops.convert(photograph, "f32"), there)  # 1 x 3 x second x first
    pixels = _rounded(*(ops.matmul(pixels, half, False, True) for half in _weights(first, to_first, most)))
    pixels = _rounded(*(ops.matmul(half, pixels, False, False) for half in _weights(second, to_second, most)))
    pixels = ops.reshape(ops.transpose(pixels, back), np.array([1, most, most, 3]), special_zero=False)
    pixels = ops.slice(pixels, np.array([0, 0]), np.array(size), np.array([1, 1]), np.array([1, 2]))
    pixels = ops.convert(pixels, "u8", name=RESIZED)
    return openvino.Model([ops.result(pixels)], [photograph], "resizing")


def _height_first(height: Any, width: Any, size: Size) -> Any:
    """Whether Pillow resizes along the height first, (1,): see ``ImagingResampleInner``."""
    from openvino import opset13 as ops

    pairs = zip((height, width), size, strict=True)
    less, narrower = (ops.add(length, np.array([-side], np.int64)) for length, side in pairs)
    twice = ops.multiply(narrower, np.array([2], np.int64))
    return ops.greater(less, ops.maximum(twice, np.array([0], np.int64)))


def _weights(length: Any, wanted: Any, most: int) -> tuple[Any, Any]:
    """The high bits and, as fractions, the low bits of the weights of ``length`` (1,) pixels in ``wanted`` (1,) ones.

    Each is (1, 1, most, length), and what is behind ``wanted`` means nothing: where the number of rows is not known,
    OpenVINO rewrites what the file says of the precision.

    A weight is a triangle's height over the sum of the heights: both are whole numbers when multiplied by the lengths.
    It is estimated in float32, and then corrected by what is left over, which 32 bits hold although they do not hold
    the products.
    """
    from openvino import opset13 as ops

    whole, size = (ops.convert(one, "i32") for one in (length, wanted))
    every = ops.range(np.int32(0), ops.squeeze(whole, np.array([0])), np.int32(1), "i32")  # length
    at = ops.multiply(ops.add(ops.multiply(every, np.int32(2)), np.int32(1)), size)
    centres = ops.multiply(ops.constant(2 * np.arange(most, dtype=np.int32)[None, None, :, None] + 1), whole)
    away = ops.subtract(ops.reshape(at, np.array([1, 1, 1, -1]), special_zero=False), centres)
    away = ops.maximum(away, ops.negative(away))
    reach = ops.multiply(ops.maximum(whole, size), np.int32(2))
    tall = ops.maximum(ops.subtract(reach, away), np.int32(0))
    total = ops.maximum(ops.reduce_sum(ops.convert(tall, "f32"), np.array([3]), keep_dims=True), np.float32(1))
    inverse = _inverse(total)
    estimate = ops.multiply(ops.multiply(ops.convert(tall, "f32"), inverse), np.float32(1 << BITS))
    weights = ops.convert(ops.floor(ops.add(estimate, np.float32(0.5))), "i32")
    left = ops.subtract(
        ops.multiply(tall, np.int32(1 << BITS)), ops.multiply(weights, ops.convert(total, "i32"))
    )  # it wraps round, as both products do
    more = ops.floor(ops.add(ops.multiply(ops.convert(left, "f32"), inverse), np.float32(0.5)))
    exact = ops.convert(ops.add(weights, ops.convert(more, "i32")), "f32")
    high = ops.floor(ops.multiply(exact, 1 / _HALF))
    low = ops.add(exact, ops.multiply(high, -_HALF))
    return high, ops.multiply(low, 1 / _HALF)


def _inverse(values: Any) -> Any:
    """1 / values: Newton's steps after a power, which OpenVINO may compute in bf16 whatever is said."""
    from openvino import opset13 as ops

    found, negative = ops.power(values, np.float32(-1)), ops.multiply(values, np.float32(-1))
    for _ in range(3):
        found = ops.multiply(found, ops.add(ops.multiply(negative, found), np.float32(2)))
    return found


def _rounded(high: Any, low: Any) -> Any:
    """The sum of both halves, of which the low one is a fraction, without its last ``BITS`` bits, a half up."""
    from openvino import opset13 as ops

    carried = ops.floor(ops.add(low, _HALF / 2))
    return ops.floor(ops.multiply(ops.add(high, carried), 1 / _HALF))
