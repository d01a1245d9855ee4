"""A network and what judges its features -> one ONNX model, from a photograph's pixels on. Imports torch.

Needs the extra ``onnx``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from onnx import compose, helper
from torch import nn

from vqi.errors import VqiError
from vqi.export.onnx_resizing import resizing
from vqi.export.parity import Compiled
from vqi.export.quiet import quiet
from vqi.models.exported_record import INPUT, OUTPUTS
from vqi.records import cut
from vqi.sizes import Size
from vqi.system.processor import threads

_OPSET = 18


def whole_model(network: nn.Module, judge: nn.Module, size: Size) -> Any:
    """The model from one photograph, (1, H, W, 3) uint8 RGB, of any size.

    Args:
        network: From (1, *size, 3) uint8 to the maps of some layers.
        judge: From these to the four of ``OUTPUTS``.
        size: Of the images that the network sees.

    Returns:
        An ``onnx.ModelProto``.

    Raises:
        VqiError: The network cannot be exported.
    """
    example = torch.zeros((1, *size, 3), dtype=torch.uint8)
    with torch.inference_mode():
        maps = network(example)
    seen = _joined(resizing(size), _converted(network, (example,)), "network/")
    return _named(_joined(seen, _converted(judge, tuple(maps)), "judge/"))


def written(
    network: nn.Module,
    judge: nn.Module,
    size: Size,
    path: Path,
    precision: str,
    metadata: Mapping[str, Mapping[str, str]],
) -> Compiled:
    """Write the file; loaded as ONNX Runtime does it by itself. ``precision`` is fp32. Raises as ``whole_model``."""
    save(whole_model(network, judge, size), path, metadata)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads()
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    return lambda pixels: dict(zip(OUTPUTS, session.run(list(OUTPUTS), {INPUT: pixels}), strict=True))


def save(model: Any, path: Path, metadata: Mapping[str, Mapping[str, str]]) -> None:
    """Write the file, with sections of texts that programs read as its metadata: ``vqi threshold``, say."""
    helper.set_model_props(
        model, {f"{section} {name}": value for section, values in metadata.items() for name, value in values.items()}
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _converted(network: nn.Module, example: tuple[torch.Tensor, ...]) -> Any:
    try:
        with quiet("torch.onnx"), torch.inference_mode():
            program = torch.export.export(network.eval(), example)
            exported = torch.onnx.export(program, dynamo=True, opset_version=_OPSET, verbose=False)
    except Exception as error:  # torch and onnxscript raise what they like, and it is the backbone's doing
        raise VqiError(
            f"the network cannot be exported to ONNX ({cut(' '.join(str(error).split()))}): train with another "
            "backbone or layer"
        ) from error
    if exported is None:
        raise RuntimeError("torch.onnx.export gave no program")
    return exported.model_proto


def _joined(first: Any, second: Any, prefix: str) -> Any:
    """A model whose outputs go into another one's inputs; the names of the other one begin with ``prefix``."""
    second = compose.add_prefix(second, prefix)
    pairs = zip(first.graph.output, second.graph.input, strict=True)
    first.ir_version = second.ir_version
    return compose.merge_models(first, second, io_map=[(one.name, other.name) for one, other in pairs])


def _named(model: Any) -> Any:
    """With our names of its input and outputs."""
    del model.opset_import[1:]  # each part brought the same
    graph = model.graph
    graph.name, model.producer_name = "vqi", "vqi"
    (given,) = graph.input
    if given.name != INPUT:
        raise ValueError(f"the input is called '{given.name}', expected '{INPUT}'")
    for output, name in zip(graph.output, OUTPUTS, strict=True):
        graph.node.append(helper.make_node("Identity", [output.name], [name], name))
        output.name = name
    return model
