r"""Inner products between logit gradients of points through a network, layer by layer: the tangent kernel, exactly.

The gradient of a convolution's weight is :math:`\sum_t \delta_t \otimes a_t` over positions `t`. So the inner product
of two points' gradients is :math:`\sum_{t,t'}(\delta_t\cdot\delta'_{t'})(a_t\cdot a'_{t'})`. It needs only what one
forward and C - 1 backward passes leave behind: inputs `a` and output gradients `delta` of the layer ("ghost" products;
Goodfellow 2015, Li et al. 2022). Where the layer is small the gradients themselves are cheaper. They are then formed a
tile at a time. Nothing of size N x P ever exists.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from auditor.influence.layers import Captured, Layer

_TILE_POINTS = 128
"""Points in one tile."""

_TILE_NUMBERS = 2**24
"""Numbers in the unfolded inputs and output gradients of one tile."""

_BLOCK_NUMBERS = 2**22
"""Numbers in one block of gradients or position products."""


def gram(
    layers: list[Layer], left: Captured, right: Captured, told: Callable[[int], None] | None = None
) -> torch.Tensor:
    """[n (C-1), m (C-1)] float64 inner products of the logit gradients of two sets of points.

    Where `left is right` only the upper half of the tiles is computed. `told` is called with the layers done.
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
    """`k` weighted sums of points' gradients in one layer: `weight` [k, out, K] and `bias` [k, out].

    A `norm` layer has `flat` [k, parameters] in their place.
    """

    weight: torch.Tensor | None
    bias: torch.Tensor | None
    flat: torch.Tensor | None = None


def combine(layers: list[Layer], captured: Captured, coefficients: torch.Tensor) -> dict[str, Combined]:
    """`k` weighted sums of logit gradients, by layer; `coefficients` is [k, n, C-1]. The sums hold k P numbers."""
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

    A combined gradient is applied as the layer's weight would be. That is as much work as `k` forward passes.
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
    """Slices of the points, small enough for what is unfolded of this layer."""
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
    # Work for one pair of points: d^2 K out by forming gradients, T^2 (K + d^2 out) by pairs of positions.
    if d * d * columns * n_outputs <= t * t * (columns + d * d * n_outputs):
        return out + _by_gradients(left, right)
    return out + _by_positions(left, right)


def _by_gradients(left: _Side, right: _Side) -> torch.Tensor:
    """[n d, m d] by forming gradients for a block of outputs at a time, small enough for the processor's cache."""
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
    """[n d, out K] gradients by the weights of some outputs."""
    assert side.positions is not None
    n, d, _, t = side.deltas.shape
    deltas = side.deltas[:, :, block]
    formed = torch.bmm(deltas.reshape(n, -1, t), side.positions)
    return formed.view(n * d, -1)


def _by_positions(left: _Side, right: _Side) -> torch.Tensor:
    """[n d, m d] by products of all pairs of positions."""
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
