"""How far a network's training has come, as arrays: what the next epoch starts from, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from auditor.system.arrays import Array


@dataclass(frozen=True)
class TrainingState:
    """After `len(train)` epochs.

    Attributes
    ----------
    train, held
        Mean loss an epoch, of the training and of the validation split.
    network
        Parameters and buffers by name.
    optimiser
        What Adam remembers of each trained parameter, by the parameter's number and its own name for it.
    generator
        State of the random generator that orders the batches.
    """

    train: tuple[float, ...]
    held: tuple[float, ...]
    network: dict[str, Array]
    optimiser: dict[str, Array]
    generator: Array


class Keeper(Protocol):
    """Keeps training states, as often as it finds worth while."""

    def load(self) -> TrainingState | None: ...

    def save(self, state: Callable[[], TrainingState]) -> None: ...


def state(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    train: list[float],
    held: list[float],
) -> TrainingState:
    """The state after an epoch."""
    adam = {
        f"{number}.{name}": _array(value)
        for number, parameter in enumerate(_trained(optimiser))
        for name, value in optimiser.state[parameter].items()
    }
    weights = {name: _array(value) for name, value in network.state_dict().items()}
    return TrainingState(tuple(train), tuple(held), weights, adam, _array(generator.get_state()))


def resumed(
    keeper: Keeper | None, network: nn.Module, optimiser: torch.optim.Optimizer, generator: torch.Generator
) -> tuple[int, list[float], list[float]]:
    """Put everything into the state that was kept, if there is one; finished epochs and their losses."""
    found = None if keeper is None else keeper.load()
    if found is None:
        return 0, [], []
    own = network.state_dict()
    with torch.no_grad():
        for name, value in found.network.items():
            own[name].copy_(torch.as_tensor(value))
    parameters = _trained(optimiser)
    for key, value in found.optimiser.items():
        number, name = key.split(".", 1)
        parameter, kept = parameters[int(number)], torch.as_tensor(value)
        if kept.shape == parameter.shape:  # a moment lies in memory as its parameter does: fused kernels rely on it
            kept = torch.empty_like(parameter, requires_grad=False).copy_(kept)
        optimiser.state[parameter][name] = kept.to(parameter.device)
    generator.set_state(torch.as_tensor(found.generator))
    return len(found.train), list(found.train), list(found.held)


def _trained(optimiser: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def _array(tensor: torch.Tensor) -> Array:
    copied: Array = tensor.detach().cpu().numpy().copy()
    return copied
