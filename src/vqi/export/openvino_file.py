"""A network and what judges its features -> one OpenVINO model, from a photograph's pixels on. Imports torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from vqi.errors import VqiError
from vqi.export.resizing import resizing
from vqi.export.saving import NETWORK
from vqi.models.exported_record import INPUT, OUTPUTS
from vqi.records import cut
from vqi.sizes import Size
from vqi.system.openvino import imported


def whole_model(
    network: nn.Module, judge: nn.Module, size: Size, quantize: Callable[[Any], Any] = lambda model: model
) -> Any:
    """The model from one photograph, (1, H, W, 3) uint8 RGB, of any size.

    Args:
        network: From (1, *size, 3) uint8 to the maps of some layers.
        judge: From these to the four of ``OUTPUTS``.
        size: Of the images that the network sees.
        quantize: What is done to the network, an ``openvino.Model``; what comes before and after it stays as it is.

    Returns:
        An ``openvino.Model``; ``NETWORK`` begins the names of the operations of the network.

    Raises:
        VqiError: OpenVINO does not take the network, or it cannot be quantised.
    """
    example = torch.zeros((1, *size, 3), dtype=torch.uint8)
    with torch.inference_mode():
        maps = network(example)
    first, second = _converted(network, (example,)), _converted(judge, tuple(maps))
    first = quantize(first)
    for operation in first.get_ops():
        operation.set_friendly_name(f"{NETWORK}{operation.get_friendly_name()}")
    return _named(_joined(resizing(size), _joined(first, second)))


def _converted(network: nn.Module, example: tuple[torch.Tensor, ...]) -> Any:
    openvino = imported()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # both warn of their own doings
            with torch.inference_mode():
                program = torch.export.export(network.eval(), example)
            model = openvino.convert_model(program)
    except Exception as error:  # torch and OpenVINO raise what they like, and it is the backbone's doing
        raise VqiError(
            f"the network cannot be exported to OpenVINO ({cut(' '.join(str(error).split()))}): train with another "
            "backbone or layer"
        ) from error
    _use_first_pooling(model)
    model.reshape({place: list(one.shape) for place, one in enumerate(example)})
    return model


def _use_first_pooling(model: Any) -> None:
    """Put pooling of the first operation set in the place of later ones, which OpenVINO does when it compiles.

    What it makes then has no mark any more, and would be computed in bf16.
    """
    from openvino import opset1

    pooling = {"AvgPool": opset1.avg_pool, "MaxPool": opset1.max_pool}
    same = {"strides": "strides", "pads_begin": "pads_begin", "pads_end": "pads_end", "kernel": "kernel_shape"}
    for one in model.get_ordered_ops():
        has = one.get_attributes()
        if one.get_type_name() not in pooling or has["rounding_type"] not in ("floor", "ceil"):
            continue
        if any(step != 1 for step in has.get("dilations", ())):
            continue
        options = {new: list(has[old]) for old, new in same.items()} | {"rounding_type": has["rounding_type"]}
        if "exclude-pad" in has:
            options["exclude_pad"] = has["exclude-pad"]
        first = pooling[one.get_type_name()](one.input_value(0), **options)
        first.set_friendly_name(one.get_friendly_name())
        one.output(0).replace(first.output(0))


def _joined(first: Any, second: Any) -> Any:
    """A model whose outputs go into another one's inputs."""
    for parameter, output in zip(second.get_parameters(), first.outputs, strict=True):
        parameter.output(0).replace(output.get_node().input_value(0))
    return imported().Model(second.get_results(), first.get_parameters(), "vqi")


def _named(model: Any) -> Any:
    model.input(0).get_tensor().set_names({INPUT})
    for output, name in zip(model.outputs, OUTPUTS, strict=True):
        output.get_tensor().set_names({name})
    return model
