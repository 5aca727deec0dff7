"""How far the training of a network has come, as arrays: the next epoch goes on from them bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from auditor.system.arrays import Array


@dataclass(frozen=True)
class TrainingState:
    """A training after `len(train_losses)` epochs.

    Attributes
    ----------
    train_losses, val_losses
        The mean loss of each epoch, on the training and on the validation split.
    network
        Parameters and buffers by name.
    optimiser
        What Adam remembers of each trained parameter. A key is the parameter's number and Adam's own name.
    generator
        State of the random generator that orders the batches.
    """

    train_losses: tuple[float, ...]
    val_losses: tuple[float, ...]
    network: dict[str, Array]
    optimiser: dict[str, Array]
    generator: Array


class StateStore(Protocol):
    """Keeps the state of one training."""

    def load(self) -> TrainingState | None:
        """The state that an interrupted training left, or None."""
        ...

    def save(self, capture: Callable[[], TrainingState]) -> None:
        """Called after each epoch. The store decides whether it is time to `capture` the state and keep it."""
        ...


def capture_state(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    train_losses: list[float],
    val_losses: list[float],
) -> TrainingState:
    """The state after an epoch, copied."""
    adam = {
        f"{number}.{name}": _array(value)
        for number, parameter in enumerate(_trained(optimiser))
        for name, value in optimiser.state[parameter].items()
    }
    weights = {name: _array(value) for name, value in network.state_dict().items()}
    return TrainingState(tuple(train_losses), tuple(val_losses), weights, adam, _array(generator.get_state()))


def restore_state(
    store: StateStore | None, network: nn.Module, optimiser: torch.optim.Optimizer, generator: torch.Generator
) -> tuple[list[float], list[float]]:
    """Go back to the state in the store, if there is one, in place.

    Returns
    -------
    tuple of two lists
        Training and validation losses of the epochs that are done; empty where the training starts.
    """
    found = None if store is None else store.load()
    if found is None:
        return [], []
    own = network.state_dict()
    with torch.no_grad():
        for name, value in found.network.items():
            own[name].copy_(torch.as_tensor(value))
    parameters = _trained(optimiser)
    for key, value in found.optimiser.items():
        number, name = key.split(".", 1)
        parameter, kept = parameters[int(number)], torch.as_tensor(value)
        if kept.shape == parameter.shape:  # fused kernels need a moment in the memory order of its parameter
            kept = torch.empty_like(parameter, requires_grad=False).copy_(kept)
        optimiser.state[parameter][name] = kept.to(parameter.device)
    generator.set_state(torch.as_tensor(found.generator))
    return list(found.train_losses), list(found.val_losses)


def _trained(optimiser: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def _array(tensor: torch.Tensor) -> Array:
    copied: Array = tensor.detach().cpu().numpy().copy()
    return copied
