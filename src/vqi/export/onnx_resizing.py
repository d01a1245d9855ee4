"""Pillow's bilinear resize, from any size to one, in operations of ONNX: the same pixels, to the last level.

What Pillow does is told in ``vqi.export.resizing``. ONNX has whole numbers of 64 bits, so that weights are exact at
once, and products of matrices of bytes, whose sums have 32 bits: a weight of 22 bits is three bytes. So no photograph
is turned into larger numbers than its own, only what is resized of it. One that has the size already is left alone.

Functions with ``@script`` are not run: ``onnxscript`` reads their source and makes operations of it, of ``if`` and of
arithmetic, too. Needs the extra ``onnx``.

Source: Pillow, ``src/libImaging/Resample.c``, version 13.0.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx.inliner import inline_local_functions
from onnxscript import INT64, UINT8, script
from onnxscript import opset18 as op

from vqi.sizes import Size

IR_VERSION = 10
Photograph, Length = UINT8[1, "H", "W", 3], INT64[1]


@script()
def weights_of(length: Length, size: Length) -> INT64:
    """The weights of ``length`` pixels in each of ``size``, (length, size): whole numbers, 22 bits are a one.

    A weight is a triangle's height over the sum of the heights, to the nearest whole number.
    """
    nought = op.Constant(value_int=0)
    one = op.Constant(value_int=1)
    two = op.Constant(value_int=2)
    pixels = op.Unsqueeze(op.Range(nought, op.Squeeze(length), one), op.Constant(value_ints=[1]))
    ends = op.Range(nought, op.Squeeze(size), one)
    away = op.Abs((two * pixels + one) * size - (two * ends + one) * length)
    tall = op.Max(two * op.Max(length, size) - away, nought)
    total = op.ReduceSum(tall, op.Constant(value_ints=[0]), keepdims=1)
    return (tall * op.Constant(value_int=8388608) + total) / (two * total)


@script()
def along_the_last(planes: UINT8, length: Length, size: Length) -> UINT8:
    """Planes (1, 3, n, length) -> (1, 3, n, size)."""
    byte = op.Constant(value_int=256)
    two_bytes = op.Constant(value_int=65536)
    weights = weights_of(length, size)
    rest = op.Mod(weights, two_bytes)
    high = op.Cast(op.MatMulInteger(planes, op.Cast(weights / two_bytes, to=2)), to=7)
    middle = op.Cast(op.MatMulInteger(planes, op.Cast(rest / byte, to=2)), to=7)
    low = op.Cast(op.MatMulInteger(planes, op.Cast(op.Mod(rest, byte), to=2)), to=7)
    total = high * two_bytes + middle * byte + low + op.Constant(value_int=2097152)
    return op.Cast(total / op.Constant(value_int=4194304), to=2)


@script()
def resize(image: Photograph, tall: Length, wide: Length) -> UINT8:
    """A photograph (1, H, W, 3) -> (1, tall, wide, 3), in Pillow's order of width and height."""
    shape = op.Shape(image)
    height = op.Gather(shape, op.Constant(value_ints=[1]))
    width = op.Gather(shape, op.Constant(value_ints=[2]))
    twice = op.Constant(value_int=2) * (width - wide)
    if op.Squeeze(op.And(height == tall, width == wide)):
        resized = op.Identity(image)
    else:
        planes = op.Transpose(image, perm=[0, 3, 1, 2])
        if op.Squeeze(height - tall > op.Max(twice, op.Constant(value_int=0))):
            lower = along_the_last(op.Transpose(planes, perm=[0, 1, 3, 2]), height, tall)
            small = along_the_last(op.Transpose(lower, perm=[0, 1, 3, 2]), width, wide)
            resized = op.Transpose(small, perm=[0, 2, 3, 1])
        else:
            narrow = along_the_last(planes, width, wide)
            small = along_the_last(op.Transpose(narrow, perm=[0, 1, 3, 2]), height, tall)
            resized = op.Transpose(small, perm=[0, 3, 2, 1])
    return resized


def resizing(size: Size) -> Any:
    """An ``onnx.ModelProto`` from a photograph, ``image`` (1, H, W, 3) uint8, to one of (1, *size, 3) uint8."""
    model = inline_local_functions(resize.to_model_proto(ir_version=IR_VERSION))
    del model.opset_import[1:]  # that of these functions, which are operations now
    graph = model.graph
    del graph.input[1:]  # the size becomes a constant
    for name, side in zip(("tall", "wide"), size, strict=True):
        graph.initializer.append(onnx.helper.make_tensor(name, onnx.TensorProto.INT64, [1], [side]))
    value = onnx.helper.make_tensor_value_info(graph.output[0].name, onnx.TensorProto.UINT8, [1, *size, 3])
    graph.output[0].CopyFrom(value)
    return model
