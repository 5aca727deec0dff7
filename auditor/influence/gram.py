r"""Inner products between logit gradients of points through a network, layer by layer: the tangent kernel, exactly.

The gradient of a convolution's weight is :math:`\sum_t \delta_t \otimes a_t` over positions `t`, so the inner product
of two points' gradients is :math:`\sum_{t,t'}(\delta_t\cdot\delta'_{t'})(a_t\cdot a'_{t'})` and needs only what one
forward and C - 1 backward passes leave behind: inputs `a` and output gradients `delta` of the layer ("ghost" products;
Goodfellow 2015, Li et al. 2022). Where the layer is small the gradients themselves are cheaper, and are then formed a
tile at a time. Nothing of size N x P exists at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from auditor.errors import EngineError
from auditor.influence.closed_form import class_basis
from auditor.influence.jacobian import Network

_TILE_POINTS = 128

_TILE_NUMBERS = 2**24
"""Points in one tile, and numbers of their unfolded inputs and output gradients."""

_BLOCK_NUMBERS = 2**22
"""Numbers in one block of gradients or position products."""


@dataclass(frozen=True)
class Layer:
    """One trained layer and how its gradients' inner products are computed: `linear`, `conv` or `norm`."""

    name: str
    module: nn.Module
    kind: str
    weight: bool
    bias: bool

    def unfold(self, a: torch.Tensor) -> torch.Tensor:
        """The layer's input as positions [n, T, K]: what the weight of one output is multiplied with."""
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
        When one of them is of a kind whose gradients are not known here; conjugate gradient takes any.
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
        Per layer [n, in, ...] and [n, C-1, out, ...]: inputs and gradients of the logit directions by the outputs.
        For `norm` layers the gradients themselves: [n, C-1, parameters], and no input.
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


def capture(network: Network, layers: list[Layer], x: torch.Tensor) -> Captured:
    """One forward pass over images `x` [n, ...] and C - 1 backward passes from orthonormal logit directions."""
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def remember(name: str):  # type: ignore[no-untyped-def]
        def hook(module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
            if name in seen:
                raise EngineError(f"layer '{name}' is used more than once in a forward pass")
            seen[name] = (args[0].detach(), output)
            # What follows may work in place (ReLU, the residual sum): it gets a copy, so that this stays the output.
            return output.clone()

        return hook

    handles = [layer.module.register_forward_hook(remember(layer.name)) for layer in layers]
    try:
        with torch.enable_grad():
            logits = network.model(x)
    finally:
        for handle in handles:
            handle.remove()
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


def _norm_gradients(layer: Layer, a: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
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


def gram(
    layers: list[Layer], left: Captured, right: Captured, told: Callable[[int], None] | None = None
) -> torch.Tensor:
    """[n (C-1), m (C-1)] float64 inner products of the logit gradients of two sets of points.

    With `left is right` only the upper half of the tiles is computed. `told` is called with the layers done.
    """
    d = left.n_directions
    out = torch.zeros(left.n_points * d, right.n_points * d, dtype=torch.float64)
    for index, layer in enumerate(layers):
        if told:
            told(index)
        for rows in _tiles(layer, left):
            side = _side(layer, left, rows)
            for columns in _tiles(layer, right):
                if left is right and columns.start < rows.start:
                    continue
                other = side if left is right and columns == rows else _side(layer, right, columns)
                tile = _products(layer, side, other)
                at_rows, at_columns = _scaled(rows, d), _scaled(columns, d)
                out[at_rows, at_columns] += tile
                if left is right and columns.start > rows.start:
                    out[at_columns, at_rows] += tile.T
    return out


@dataclass(frozen=True)
class Combined:
    """Weighted sums of points' gradients in one layer: `weight` [k, out, K] and `bias` [k, out], or `norm`'s [k, p]."""

    weight: torch.Tensor | None
    bias: torch.Tensor | None
    flat: torch.Tensor | None = None


def combine(layers: list[Layer], captured: Captured, coefficients: torch.Tensor) -> dict[str, Combined]:
    """`k` weighted sums of logit gradients, by layer: `coefficients` [k, n, C-1]. Takes k P numbers."""
    sums = {}
    for layer in layers:
        outputs = captured.outputs[layer.name]
        shares = coefficients.to(outputs)
        if layer.kind == "norm":
            sums[layer.name] = Combined(None, None, torch.einsum("knd,ndp->kp", shares, outputs))
            continue
        weight, bias = [], []
        for row in shares:
            chosen = row.abs().sum(1).nonzero().flatten()
            side = _side(layer, captured, chosen)
            assert side.positions is not None
            deltas = torch.einsum("nd,ndot->not", row[chosen], side.deltas)
            weight.append(deltas.transpose(0, 1).flatten(1) @ side.positions.flatten(0, 1))
            bias.append(deltas.sum((0, 2)))
        sums[layer.name] = Combined(
            torch.stack(weight) if layer.weight else None, torch.stack(bias) if layer.bias else None
        )
    return sums


def project(layers: list[Layer], captured: Captured, sums: dict[str, Combined]) -> torch.Tensor:
    """[k, n (C-1)] float64 inner products of combined gradients with the points' logit gradients.

    A combined gradient is applied as the layer's weight would be: as much work as `k` forward passes.
    """
    rows = []
    for layer in layers:
        combined, outputs = sums[layer.name], captured.outputs[layer.name]
        if combined.flat is not None:
            rows.append(torch.einsum("ndp,kp->knd", outputs, combined.flat).double().cpu())
            continue
        parts = []
        for part in _tiles(layer, captured):
            side = _side(layer, captured, part)
            assert side.positions is not None
            n, d = side.deltas.shape[:2]
            k = len(combined.weight if combined.weight is not None else combined.bias)  # type: ignore[arg-type]
            tile = torch.zeros(k, n, d, dtype=torch.float64)
            for row in range(k):
                if combined.weight is not None:
                    response = (side.positions @ combined.weight[row].T).transpose(1, 2)
                    tile[row] += torch.einsum("ndot,not->nd", side.deltas, response).double().cpu()
                if combined.bias is not None:
                    tile[row] += (side.deltas.sum(3) @ combined.bias[row]).double().cpu()
            parts.append(tile)
        rows.append(torch.cat(parts, 1))
    return torch.stack(rows).sum(0).flatten(1)


@dataclass(frozen=True)
class _Side:
    """One tile of points of one layer: output gradients [n, C-1, out, T] and positions [n, T, K] (None for `norm`)."""

    deltas: torch.Tensor
    positions: torch.Tensor | None


def _tiles(layer: Layer, captured: Captured) -> list[slice]:
    per_point = captured.outputs[layer.name][0].numel()
    if layer.kind != "norm":
        per_point += layer.unfold(captured.inputs[layer.name][:1]).numel()
    step = max(1, min(_TILE_POINTS, _TILE_NUMBERS // per_point))
    return [slice(s, min(s + step, captured.n_points)) for s in range(0, captured.n_points, step)]


def _side(layer: Layer, captured: Captured, part: slice | torch.Tensor) -> _Side:
    outputs = captured.outputs[layer.name][part]
    if layer.kind == "norm":
        return _Side(outputs[..., None], None)
    return _Side(
        outputs.flatten(3) if outputs.ndim > 3 else outputs[..., None], layer.unfold(captured.inputs[layer.name][part])
    )


def _products(layer: Layer, left: _Side, right: _Side) -> torch.Tensor:
    """[n d, m d] float64 inner products of one layer's gradients."""
    n, d, n_outputs, t = left.deltas.shape
    m = right.deltas.shape[0]
    if left.positions is None or right.positions is None:
        return _inner(left.deltas.flatten(0, 1).flatten(1), right.deltas.flatten(0, 1).flatten(1))
    out = torch.zeros(n * d, m * d, dtype=torch.float64)
    if layer.bias:
        out += _inner(left.deltas.sum(3).flatten(0, 1), right.deltas.sum(3).flatten(0, 1))
    if not layer.weight:
        return out
    columns = left.positions.shape[2]
    # Work for one pair of points: d^2 K out through the gradients, T^2 (K + d^2 out) through pairs of positions.
    if d * d * columns * n_outputs <= t * t * (columns + d * d * n_outputs):
        return out + _by_gradients(left, right)
    return out + _by_positions(left, right)


def _by_gradients(left: _Side, right: _Side) -> torch.Tensor:
    """Form the gradients for a block of outputs at a time, small enough to stay in the processor's cache."""
    n, d, n_outputs, _ = left.deltas.shape
    m = right.deltas.shape[0]
    assert left.positions is not None and right.positions is not None
    step = max(1, _BLOCK_NUMBERS // (max(n, m) * d * left.positions.shape[2]))
    out = torch.zeros(n * d, m * d, dtype=torch.float64)
    for start in range(0, n_outputs, step):
        block = slice(start, start + step)
        one = _gradients(left, block)
        out += _inner(one, one if right is left else _gradients(right, block))
    return out


def _gradients(side: _Side, block: slice) -> torch.Tensor:
    assert side.positions is not None
    n, d, _, t = side.deltas.shape
    deltas = side.deltas[:, :, block]
    formed = torch.bmm(deltas.reshape(n, -1, t), side.positions)
    return formed.view(n * d, -1)


def _by_positions(left: _Side, right: _Side) -> torch.Tensor:
    assert left.positions is not None and right.positions is not None
    n, d, _, t = left.deltas.shape
    m, _, _, s = right.deltas.shape
    out = torch.zeros(n * d, m * d, dtype=torch.float64)
    step = max(1, _BLOCK_NUMBERS // (m * d * d * s * t))
    right_positions = right.positions.flatten(0, 1).T
    right_deltas = right.deltas.transpose(2, 3).reshape(m * d * s, -1).T
    for start in range(0, n, step):
        part = slice(start, min(start + step, n))
        k = part.stop - part.start
        deltas = left.deltas[part].transpose(2, 3).reshape(k * d * t, -1) @ right_deltas
        positions = left.positions[part].flatten(0, 1) @ right_positions
        products = deltas.view(k, d, t, m, d, s) * positions.view(k, 1, t, m, 1, s)
        out[_scaled(part, d)] = products.sum((2, 5)).reshape(k * d, m * d).double().cpu()
    return out


def _inner(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return (left @ right.T).double().cpu()


def _scaled(part: slice, by: int) -> slice:
    return slice(part.start * by, part.stop * by)
