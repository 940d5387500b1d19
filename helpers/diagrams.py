"""Networks drawn from the real module: shapes from a forward pass, so they cannot lie.

Taught in "Layers and modules", where the counting and the tracing are written out.
"""

import math
from dataclasses import dataclass

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from helpers.plotting import WIDTH, color


@dataclass(frozen=True)
class Layer:
    """One module as a forward pass met it.

    Attributes:
        name: its path in the network, for instance ``"hidden.0"``.
        kind: its class, for instance ``"Linear"``.
        shape: of what it gave, without the batch.
        parameters: how many numbers it learns.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


def count_parameters(module: nn.Module) -> int:
    """Return how many numbers a module learns; a shared one counts once."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@torch.no_grad()
def trace(model: nn.Module, example: Tensor, depth: int | None = None) -> list[Layer]:
    """Run the model once and list its layers in the order in which they gave a result.

    Args:
        model: left as it was, dropout and batch norm included.
        example: a batch that the model takes.
        depth: how deep to look into modules of modules; None is down to the leaves.
    """
    layers, handles = [], []
    for name, module in model.named_modules():
        level = name.count(".") + 1
        leaf = next(module.children(), None) is None
        if name and (
            leaf if depth is None else level == depth or (leaf and level < depth)
        ):

            def note(module, _, output, name=name):
                kind, count = type(module).__name__, count_parameters(module)
                layers.append(Layer(name, kind, tuple(output.shape[1:]), count))

            handles.append(module.register_forward_hook(note))
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()(example)
    finally:
        for module, training in modes.items():  # some may be frozen in eval mode
            module.training = training
        for handle in handles:
            handle.remove()
    return layers


def draw_network(model: nn.Module, example: Tensor, depth: int | None = None) -> Figure:
    """Draw the network from the input down, a bar a layer; return the figure.

    The bar is as long as the layer's output has numbers, on a logarithmic scale; beside
    it stand the shape of the output and the number of parameters.

    Args: as for `trace`.
    """
    layers = trace(model, example, depth)
    layers.insert(0, Layer("input", "", tuple(example.shape[1:]), 0))
    figure, axis = plt.subplots(figsize=(WIDTH, 0.34 * len(layers) + 0.5))
    longest = max(math.log10(1 + math.prod(layer.shape)) for layer in layers)
    for row, layer in enumerate(layers):
        length = 0.7 * math.log10(1 + math.prod(layer.shape)) / longest
        fill = "train" if layer.parameters else "quiet"
        axis.barh(row, length, height=0.62, color=color(fill))
        shape = " × ".join(map(str, layer.shape))
        axis.text(length + 0.03, row, shape, va="center")
        count = f"{layer.parameters:,}" if layer.parameters else "–"
        axis.text(1.75, row, count, va="center", ha="right")
    names = [f"{layer.kind} {layer.name}".strip() for layer in layers]
    axis.set_yticks(range(len(layers)), names)
    axis.text(0, -0.95, "shape of the output", color=color("muted"), va="center")
    axis.text(1.75, -0.95, "parameters", color=color("muted"), va="center", ha="right")
    axis.set(xlim=(0, 1.77), ylim=(len(layers) - 0.5, -1.3), xticks=[])
    axis.grid(False)
    axis.spines[["left", "bottom"]].set_visible(False)
    return figure
