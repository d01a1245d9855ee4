"""A backbone cut off behind one layer, with its batch normalisation folded into the convolutions. Imports torch."""

from __future__ import annotations

import copy
import logging

import torch
from timm.layers import BatchNormAct2d, Conv2dSame, get_notrace_functions, get_notrace_modules
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.feature_extraction import create_feature_extractor

from vqi.backbones import find_layer

_LOG = logging.getLogger(__name__)
_OUTPUT = "output"
_PLAIN_CONVOLUTIONS = (nn.Conv2d, Conv2dSame)  # others change their weights on the way


class _Traced(nn.Module):
    """The graph up to the layer; what comes after it is not computed."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.graph(images)[_OUTPUT]
        return result


class _Hooked(nn.Module):
    """The whole model, of which the layer's output is kept: for models that cannot be traced symbolically."""

    def __init__(self, model: nn.Module, layer: str) -> None:
        super().__init__()
        self.model = model
        self._kept: list[torch.Tensor] = []
        find_layer(model, layer).register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: object, output: object) -> None:
        first = output[0] if isinstance(output, (tuple, list)) else output
        if isinstance(first, torch.Tensor):
            self._kept.append(first)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self._kept.clear()
        self.model(images)
        output = self._kept[-1]
        self._kept.clear()
        return output


def truncate(model: nn.Module, layer: str) -> nn.Module:
    """A network for inference from normalised images to the output of ``layer``; ``model`` is not changed.

    Raises:
        VqiError: No such layer.
    """
    model = copy.deepcopy(model).eval()
    graph = _cut(model, layer)
    if graph is None:
        return _Hooked(model, layer).eval()  # the attempt may have left it in training mode
    fold_batch_norm(graph)
    return _Traced(graph).eval()


def trainable(model: nn.Module, layer: str) -> nn.Module:
    """A network for training from normalised images to the output of ``layer``; it shares the weights of ``model``.

    Raises:
        VqiError: No such layer.
    """
    graph = _cut(model, layer)
    return _Hooked(model, layer) if graph is None else _Traced(graph)


def _cut(model: nn.Module, layer: str) -> fx.GraphModule | None:
    """The graph of a model up to a layer, with the model's own modules; None where it cannot be traced."""
    find_layer(model, layer)
    try:
        graph: fx.GraphModule = create_feature_extractor(
            model,
            {layer: _OUTPUT},
            tracer_kwargs={
                "leaf_modules": [BatchNormAct2d, *get_notrace_modules()],
                "autowrap_functions": get_notrace_functions(),
            },
            suppress_diff_warning=True,
        )
    except (fx.proxy.TraceError, NameError, TypeError, ValueError, RuntimeError) as error:
        _LOG.info("the model cannot be cut off behind '%s' (%s); the whole of it is run", layer, str(error)[:120])
        return None
    return graph


def fold_batch_norm(graph: fx.GraphModule) -> int:
    """Fold each batch normalisation into the convolution before it, where nothing else reads that; returns how many."""
    modules = dict(graph.named_modules())
    folded = 0
    for node in graph.graph.nodes:
        source = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
            continue
        convolution, norm = modules[str(source.target)], modules[node.target]
        if (
            type(convolution) in _PLAIN_CONVOLUTIONS
            and isinstance(norm, nn.BatchNorm2d)
            and norm.running_mean is not None
        ):
            _replace(graph, str(source.target), fuse_conv_bn_eval(convolution, norm))
            rest = nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()
            _replace(graph, node.target, rest)
            folded += 1
    graph.recompile()
    return folded


def _replace(graph: fx.GraphModule, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(graph.get_submodule(parent), name, module)
