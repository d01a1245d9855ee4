"""A backbone cut off after some layers, with its batch normalisation folded into the convolutions. Imports torch."""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Callable, Sequence

import torch
from timm.layers import BatchNormAct2d, Conv2dSame, get_notrace_functions, get_notrace_modules
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.feature_extraction import create_feature_extractor

from vqi.errors import VqiError
from vqi.network.backbones import find_layer
from vqi.network.turns import MODULES

_LOG = logging.getLogger(__name__)
_BEGIN, _OUTPUT = "begin", "output"
_PLAIN_CONVOLUTIONS = (nn.Conv2d, Conv2dSame)  # others change their weights on the way


class _Traced(nn.Module):
    """The graph up to the last of the layers; what comes after it is not computed."""

    def __init__(self, graph: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.graph = graph
        self.layers = tuple(layers)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = self.graph(images)
        return tuple(outputs[layer] for layer in self.layers)


class _Hooked(nn.Module):
    """The whole model, of which the layers' outputs are kept: for models that cannot be traced symbolically."""

    def __init__(self, model: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.layers = tuple(layers)
        self._kept: dict[str, torch.Tensor] = {}
        for layer in self.layers:
            find_layer(model, layer).register_forward_hook(self._keeper(layer))

    def _keeper(self, layer: str) -> Callable[[nn.Module, object, object], None]:
        def keep(module: nn.Module, inputs: object, output: object) -> None:
            first = output[0] if isinstance(output, (tuple, list)) else output
            if isinstance(first, torch.Tensor):
                self._kept[layer] = first

        return keep

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self._kept.clear()
        self.model(images)
        missing = [layer for layer in self.layers if layer not in self._kept]
        if missing:
            raise VqiError(f"layer '{missing[0]}' gives no tensor: choose another ('vqi layers <backbone>' lists them)")
        outputs = tuple(self._kept[layer] for layer in self.layers)
        self._kept.clear()
        return outputs


class _Only(nn.Module):
    """The one output of a network that gives a tuple of one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        (output,) = self.network(images)
        result: torch.Tensor = output
        return result


def truncate(model: nn.Module, layers: Sequence[str]) -> nn.Module:
    """A network for inference from normalised images to the outputs of ``layers``, a tuple in their order.

    ``model`` is not changed.

    Raises:
        VqiError: No such layer, or two layers that are one and the same output.
    """
    model = copy.deepcopy(model).eval()
    graph = _cut(model, {layer: layer for layer in layers})
    if graph is None:
        return _Hooked(model, layers).eval()  # the attempt may have left it in training mode
    fold_batch_norm(graph)
    return _Traced(graph, layers).eval()


def trainable(model: nn.Module, layer: str, behind: str = "") -> nn.Module:
    """A network for training, from normalised images to the output of ``layer``; it shares the weights of ``model``.

    Args:
        model: The whole network.
        layer: Whose output it gives.
        behind: Where the network begins, when not at the images: it then takes the output of this layer.

    Raises:
        VqiError: No such layer, or the network cannot be cut after ``behind``.
    """
    if behind == layer:
        raise VqiError(f"frozen_up_to '{behind}' is the layer that is read: nothing is left to train")
    if behind:
        return _Section(model, behind, layer)
    graph = _cut(model, {layer: layer})
    return _Only(_Hooked(model, [layer]) if graph is None else _Traced(graph, [layer]))


class _Section(nn.Module):
    """The part of a model between two layers, in the graph of training or of inference."""

    def __init__(self, model: nn.Module, behind: str, layer: str) -> None:
        super().__init__()
        whole = _cut(model, {behind: _BEGIN, layer: _OUTPUT})
        if whole is None:
            raise VqiError(
                f"the network cannot be cut after '{behind}': set frozen_up_to to '', so that all of it trains"
            )
        graphs = {training: _copy_of(whole.train(training).graph) for training in (True, False)}
        for graph in graphs.values():
            _begin_behind(graph, behind, layer)
        self.in_training = fx.GraphModule(whole, graphs[True])
        self.in_inference = fx.GraphModule(whole, graphs[False])

    def forward(self, begin: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = (self.in_training if self.training else self.in_inference)(begin)
        return result


def _copy_of(graph: fx.Graph) -> fx.Graph:
    copied = fx.Graph()
    copied.output(copied.graph_copy(graph, {}))
    return copied


def _begin_behind(graph: fx.Graph, behind: str, layer: str) -> None:
    """Let a graph that gives two layers' outputs take the first one as its input and give only the second one.

    Raises:
        VqiError: What comes before the first one is read after it as well.
    """
    nodes = list(graph.nodes)
    images, output = nodes[0], nodes[-1]
    begin, end = output.args[0][_BEGIN], output.args[0][_OUTPUT]
    output.args = (end,)
    needed = _sources(output, begin)
    if images in needed:
        raise VqiError(
            f"frozen_up_to '{behind}': layer '{layer}' does not follow from its output alone: choose the end of a "
            "stage before it ('vqi layers <backbone>' lists them)"
        )
    begin.replace_all_uses_with(images)
    for node in reversed(nodes):
        if node not in needed and node is not images:
            graph.erase_node(node)


def _sources(node: fx.Node, stop: fx.Node) -> set[fx.Node]:
    """A node and all that it is computed from, without ``stop`` and what is needed for that alone."""
    found, todo = {node}, [node]
    while todo:
        new = [source for source in todo.pop().all_input_nodes if source not in found and source is not stop]
        found.update(new)
        todo += new
    return found


def _cut(model: nn.Module, layers: dict[str, str]) -> fx.GraphModule | None:
    """The graph of a model up to some layers, whose outputs it gives under the names that they map to.

    It has the model's own modules; None where it cannot be traced.

    Raises:
        VqiError: No such layer, or two of them are one and the same output.
    """
    for layer in layers:
        find_layer(model, layer)
    inner_first = dict(sorted(layers.items(), key=lambda item: -item[0].count(".")))
    try:
        with MODULES:
            graph: fx.GraphModule = create_feature_extractor(
                model,
                inner_first,
                tracer_kwargs={
                    "leaf_modules": [BatchNormAct2d, *get_notrace_modules()],
                    "autowrap_functions": get_notrace_functions(),
                },
                suppress_diff_warning=True,
            )
    except (fx.proxy.TraceError, NameError, TypeError, ValueError, RuntimeError) as error:
        _LOG.info("the model cannot be cut off after '%s' (%s); the whole model is run", layer, str(error)[:120])
        return None
    if len(layers) > 1:
        _refuse_the_same(graph, layers)
    return graph


def _refuse_the_same(graph: fx.GraphModule, layers: dict[str, str]) -> None:
    """Refuse a layer together with the part of it that its output comes from.

    torchvision gives a node to one name only. The inner one was asked for first and has its own last node; an outer
    one that ends with the same node was given one before it.
    """
    nodes = list(graph.graph.nodes)
    outputs = nodes[-1].args[0]
    place = {layer: nodes.index(outputs[name]) for layer, name in layers.items()}
    for outer, inner in itertools.permutations(layers, 2):
        if inner.startswith(f"{outer}.") and place[outer] < place[inner]:
            raise VqiError(f"layers '{inner}' and '{outer}' have the same output: name one of them")


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
