"""The trained layers of a network, and what a set of points leaves behind in them: inputs and output gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from auditor.errors import EngineError
from auditor.influence.class_basis import class_basis
from auditor.influence.jacobian import Network

Hook = Callable[[nn.Module, tuple[torch.Tensor, ...], torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Layer:
    """One trained layer. `kind` says how its gradients are multiplied: `linear`, `conv` or `norm`."""

    name: str
    module: nn.Module
    kind: str
    weight: bool
    bias: bool

    def unfold(self, a: torch.Tensor) -> torch.Tensor:
        """The layer's input [n, in, ...] as positions [n, T, K], which the weight of one output is multiplied with."""
        if self.kind == "linear":
            return a[:, None, :]
        assert isinstance(self.module, nn.Conv2d) and not isinstance(self.module.padding, str)
        columns = nn.functional.unfold(
            a, self.module.kernel_size, self.module.dilation, self.module.padding, self.module.stride
        )
        return columns.transpose(1, 2)


def trained_layers(model: nn.Module) -> list[Layer]:
    """The layers that hold trained parameters.

    Raises
    ------
    EngineError
        When one of them is of a kind whose gradients are not known here. Conjugate gradient takes any kind.
    """
    layers = []
    for name, module in model.named_modules():
        own = {k: p for k, p in module.named_parameters(recurse=False) if p.requires_grad}
        if not own:
            continue
        kind = _kind(module)
        if kind is None or not set(own) <= {"weight", "bias"}:
            raise EngineError(f"layer '{name}' ({type(module).__name__}) has no closed-form gradient products")
        layers.append(Layer(name, module, kind, "weight" in own, "bias" in own))
    return layers


def _kind(module: nn.Module) -> str | None:
    if isinstance(module, nn.Linear):
        return "linear"
    if isinstance(module, nn.Conv2d) and module.groups == 1 and not isinstance(module.padding, str):
        return "conv" if module.padding_mode == "zeros" else None
    if isinstance(module, nn.BatchNorm2d) and module.track_running_stats and not module.training:
        return "norm"
    return None


@dataclass(frozen=True)
class Captured:
    """What a set of points leaves behind in the layers.

    Attributes
    ----------
    n_points, n_directions
        n and C - 1.
    logits
        [n, C], in float64.
    inputs, outputs
        By layer, [n, in, ...] and [n, C-1, out, ...]: inputs, and gradients of the logit directions by the outputs.
        A `norm` layer has no input here and the gradients by its parameters, [n, C-1, parameters], as output.
    """

    n_points: int
    n_directions: int
    logits: torch.Tensor
    inputs: dict[str, torch.Tensor]
    outputs: dict[str, torch.Tensor]

    @property
    def numbers(self) -> int:
        """How many numbers are held."""
        return sum(t.numel() for group in (self.inputs, self.outputs) for t in group.values())

    @property
    def probabilities(self) -> torch.Tensor:
        """[n, C] softmax in float64.

        Raises
        ------
        EngineError
            When they are not finite.
        """
        p = torch.softmax(self.logits, dim=1)
        if not bool(torch.isfinite(p).all()):
            raise EngineError("the network's outputs are not finite", hint="train with a smaller learning rate")
        return p


def capture(network: Network, layers: list[Layer], x: torch.Tensor) -> Captured:
    """One forward pass over images `x` [n, ...], and C - 1 backward passes from orthonormal logit directions.

    Raises
    ------
    EngineError
        When the network uses a layer twice in one pass.
    """
    logits, seen = _forward(network, layers, x)
    basis = class_basis(network.n_classes, logits.dtype, logits.device)
    names = [layer.name for layer in layers]
    gradients: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    for column in range(basis.shape[1]):
        keep = column + 1 < basis.shape[1]
        found = torch.autograd.grad((logits @ basis[:, column]).sum(), [seen[n][1] for n in names], retain_graph=keep)
        for name, gradient in zip(names, found, strict=True):
            gradients[name].append(gradient)
    inputs, outputs = {}, {}
    for layer in layers:
        delta = torch.stack(gradients[layer.name], 1)
        if layer.kind == "norm":
            outputs[layer.name] = _norm_gradients(layer, seen[layer.name][0], delta)
        else:
            inputs[layer.name], outputs[layer.name] = seen[layer.name][0], delta
    return Captured(len(x), basis.shape[1], logits.detach().double().cpu(), inputs, outputs)


def _forward(
    network: Network, layers: list[Layer], x: torch.Tensor
) -> tuple[torch.Tensor, dict[str, tuple[torch.Tensor, torch.Tensor]]]:
    """Logits [n, C] with their graph, and the input and output of every layer."""
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def remember(name: str) -> Hook:
        def hook(module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
            if name in seen:
                raise EngineError(f"layer '{name}' is used more than once in a forward pass")
            seen[name] = (args[0].detach(), output)
            # What follows may work in place (ReLU, the residual sum). It gets a copy, so that this stays the output.
            return output.clone()

        return hook

    handles = [layer.module.register_forward_hook(remember(layer.name)) for layer in layers]
    try:
        with torch.enable_grad():
            logits: torch.Tensor = network.model(x)
    finally:
        for handle in handles:
            handle.remove()
    return logits, seen


def _norm_gradients(layer: Layer, a: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
    """[n, C-1, parameters] gradients by a BatchNorm's parameters, from its input and its output gradients."""
    module = layer.module
    assert isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and module.running_var is not None
    parts = []
    if layer.weight:
        scale = torch.rsqrt(module.running_var + module.eps)[:, None, None]
        normalised = (a - module.running_mean[:, None, None]) * scale
        parts.append(torch.einsum("ncohw,nohw->nco", delta, normalised))
    if layer.bias:
        parts.append(delta.sum((3, 4)))
    return torch.cat(parts, 2)


def join(parts: list[Captured]) -> Captured:
    """Captures of several chunks as one."""
    first = parts[0]
    return Captured(
        sum(p.n_points for p in parts),
        first.n_directions,
        torch.cat([p.logits for p in parts]),
        {k: torch.cat([p.inputs[k] for p in parts]) for k in first.inputs},
        {k: torch.cat([p.outputs[k] for p in parts]) for k in first.outputs},
    )
