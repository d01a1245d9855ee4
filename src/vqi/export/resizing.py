"""Pillow's bilinear resize, from any size to one, in operations of OpenVINO: the same pixels, to the last level.

Pillow resizes along the width, then along the height, each time in whole numbers: of the weights, 22 bits are kept;
what lies half-way is decided by them. OpenVINO's own ``bilinear_pillow`` rounds otherwise. Here the weights are made
of whole numbers too, and the sums are exact: they are computed in two halves of 11 bits, because float32 holds 24.

Pillow takes the height first where a photograph is much taller than wide, which is not done here.

Operations are written so that OpenVINO has nothing to rewrite when it compiles them: a quotient, a difference, or a sum
that is multiplied would be replaced by others, which may not be computed in float32 (``vqi.export.openvino_file``).

Source: Pillow, ``src/libImaging/Resample.c`` (``precompute_coeffs``, ``normalize_coeffs_8bpc``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

BITS, HALF_BITS = 22, 11
_HALF = np.float32(1 << HALF_BITS)


def resizing(size: int) -> Any:
    """An ``openvino.Model`` from a photograph (1, H, W, 3) uint8 to (1, size, size, 3) uint8."""
    import openvino
    from openvino import opset13 as ops

    photograph = ops.parameter([1, -1, -1, 3], np.uint8, name="image")
    shape = ops.shape_of(photograph, "i64")
    height, width = (ops.gather(shape, np.array([axis], np.int64), np.array(0, np.int64)) for axis in (1, 2))
    pixels = ops.transpose(ops.convert(photograph, "f32"), np.array([0, 3, 1, 2]))  # 1 x 3 x H x W
    pixels = _rounded(*(ops.matmul(pixels, half, False, True) for half in _weights(width, size)))
    pixels = _rounded(*(ops.matmul(half, pixels, False, False) for half in _weights(height, size)))
    pixels = ops.convert(ops.transpose(pixels, np.array([0, 2, 3, 1])), "u8")
    return openvino.Model([ops.result(pixels)], [photograph], "resizing")


def _weights(length: Any, size: int) -> tuple[Any, Any]:
    """The high bits and, as fractions, the low bits of the weights of ``length`` (1,) pixels in each of ``size``.

    Each is (1, 1, size, length).

    A weight is a triangle's height over the sum of the heights: both are whole numbers when multiplied by the lengths.
    It is estimated in float32, and then corrected by what is left over, which 32 bits hold although they do not hold
    the products.
    """
    from openvino import opset13 as ops

    whole = ops.convert(length, "i32")
    every = ops.range(np.int32(0), ops.squeeze(whole, np.array([0])), np.int32(1), "i32")  # length
    at = ops.multiply(ops.add(ops.multiply(every, np.int32(2)), np.int32(1)), np.int32(size))
    centres = ops.multiply(ops.constant(2 * np.arange(size, dtype=np.int32)[None, None, :, None] + 1), whole)
    away = ops.subtract(ops.reshape(at, np.array([1, 1, 1, -1]), special_zero=False), centres)
    away = ops.maximum(away, ops.negative(away))
    reach = ops.maximum(ops.multiply(whole, np.int32(2)), np.int32(2 * size))
    tall = ops.maximum(ops.subtract(reach, away), np.int32(0))
    total = ops.reduce_sum(ops.convert(tall, "f32"), np.array([3]), keep_dims=True)
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
