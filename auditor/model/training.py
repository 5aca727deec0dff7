"""TODO auditor.model.training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from auditor.compute import hardware
from auditor.errors import ConfigError
from auditor.model import training_state
from auditor.model.resnet import channels_last
from auditor.system.arrays import Array
from auditor.system.progress import Update


@dataclass(frozen=True)
class Losses:
    """Mean cross-entropy per epoch; `val` is empty without a validation split."""

    train: tuple[float, ...]
    val: tuple[float, ...]


@dataclass(frozen=True)
class Head:
    """A trained linear head: `weight` float32 [C, D], `bias` float32 [C]."""

    weight: Array
    bias: Array
    losses: Losses

    def logits(self, features: Array) -> Array:
        """[N, D] features to [N, C] logits."""
        return np.asarray(features @ self.weight.T + self.bias)


@dataclass(frozen=True)
class Schedule:
    """How a model is trained: Adam on mean cross-entropy, as in the reference study."""

    epochs: int
    learning_rate: float
    batch_size: int
    seed: int


def settle_batchnorm(network: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Give the BatchNorm layers that are trained the statistics of the images (no label is used)."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d) and m.weight.requires_grad]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
    _train_mode(network)
    with torch.no_grad():
        for batch in batches:
            network(batch)
    network.eval()
    for norm in norms:
        norm.momentum = 0.1


def train_head(
    features: Array,
    labels: Array,
    n_classes: int,
    schedule: Schedule,
    *,
    val: tuple[Array, Array] | None = None,
    device: str = "cpu",
    progress: Update | None = None,
) -> Head:
    """Train a linear head on cached features; the same numbers as training `fc` of the frozen network.

    Parameters
    ----------
    features, labels
        float32 [N, D] and int64 [N] in 0..C-1.
    """
    generator = torch.Generator().manual_seed(schedule.seed)
    head = nn.Linear(features.shape[1], n_classes)
    bound = features.shape[1] ** -0.5  # torch's own initialisation of a linear layer
    for parameter in head.parameters():
        with torch.no_grad():
            parameter.uniform_(-bound, bound, generator=generator)
    head.to(device)
    x, y = torch.as_tensor(features).to(device), torch.as_tensor(labels).to(device)
    held = None if val is None else (torch.as_tensor(val[0]).to(device), torch.as_tensor(val[1]).to(device))
    with hardware.one_thread():
        losses = _fit(head, x, y, held, schedule, generator, progress)
    weight, bias = (p.detach().cpu().numpy() for p in (head.weight, head.bias))
    return Head(weight, bias, losses)


def _fit(
    head: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    held: tuple[torch.Tensor, torch.Tensor] | None,
    schedule: Schedule,
    generator: torch.Generator,
    progress: Update | None,
) -> Losses:
    optimiser = _adam(head, schedule)
    criterion = nn.CrossEntropyLoss()
    train, val = [], []
    for epoch in range(schedule.epochs):
        total = 0.0
        for index in torch.randperm(len(y), generator=generator).split(schedule.batch_size):
            optimiser.zero_grad()
            loss = criterion(head(x[index.to(x.device)]), y[index.to(y.device)])
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(index)
        train.append(total / len(y))
        if held is not None:
            with torch.no_grad():
                val.append(float(criterion(head(held[0]), held[1])))
        if progress is not None:
            progress(epoch + 1, schedule.epochs)
    return Losses(tuple(train), tuple(val))


def _adam(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """Adam over what is trained; fused, which on a large network is an order of magnitude faster."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return torch.optim.Adam(parameters, lr=schedule.learning_rate, fused=True)


def trainable(network: nn.Module, train: str) -> list[str]:
    """Set `requires_grad` as `--train` says and name the parameters that are trained.

    Raises
    ------
    ConfigError
        When a named layer does not exist.
    """
    if train == "full":
        wanted: tuple[str, ...] = ("",)
    elif train == "head":
        wanted = ("fc",)
    else:
        wanted = tuple(name.strip() for name in train.removeprefix("layers:").split(",") if name.strip())
        for name in wanted:
            if not any(p == name or p.startswith(name + ".") for p, _ in network.named_parameters()):
                known = ", ".join(dict.fromkeys(p.split(".")[0] for p, _ in network.named_parameters()))
                raise ConfigError(f"--train names a layer '{name}' that ResNet18 does not have", hint=f"it has {known}")
    names = []
    for parameter_name, parameter in network.named_parameters():
        chosen = any(w == "" or parameter_name == w or parameter_name.startswith(w + ".") for w in wanted)
        parameter.requires_grad_(chosen)
        if chosen:
            names.append(parameter_name)
    return names


def train_network(
    network: nn.Module,
    images: Callable[[torch.Tensor], torch.Tensor],
    labels: Array,
    schedule: Schedule,
    *,
    val: tuple[Callable[[torch.Tensor], torch.Tensor], Array] | None = None,
    device: str = "cpu",
    progress: Update | None = None,
    keeper: training_state.Keeper | None = None,
) -> Losses:
    """Train the parameters that require a gradient, in place; leaves the network in eval mode.

    BatchNorm layers whose parameters are frozen stay in eval mode; those that are trained end with the statistics of
    the training images under the final parameters, since a moving average over few steps lags behind them.

    Parameters
    ----------
    images
        Gives normalised images float32 [n, 3, S, S] for a tensor of indices.
    keeper
        Keeps the state after an epoch, and has the one from which an interrupted training goes on.
    """
    generator = torch.Generator().manual_seed(schedule.seed)
    channels_last(network).to(device)
    optimiser = _adam(network, schedule)
    criterion = nn.CrossEntropyLoss()
    y = torch.as_tensor(labels)
    # A batch of one image cannot pass BatchNorm in train mode, and one huge batch makes too few steps.
    size = max(2, min(schedule.batch_size, 32 if len(y) <= 2048 else 128))
    done, train, held = training_state.resumed(keeper, network, optimiser, generator)
    for epoch in range(done, schedule.epochs):
        _train_mode(network)
        total, seen = 0.0, 0
        for index in torch.randperm(len(y), generator=generator).split(size):
            if len(index) < 2:
                continue
            optimiser.zero_grad()
            loss = criterion(network(images(index).to(device)), y[index].to(device))
            loss.backward()
            optimiser.step()
            total, seen = total + float(loss.detach()) * len(index), seen + len(index)
        if epoch + 1 == schedule.epochs:
            settle_batchnorm(network, (images(index).to(device) for index in torch.arange(len(y)).split(128)))
        network.eval()
        train.append(total / max(seen, 1))
        if val is not None:
            logits = network_logits(network, val[0], len(val[1]), device)
            held.append(float(criterion(torch.as_tensor(logits), torch.as_tensor(val[1]))))
        if keeper is not None:
            keeper.save(partial(training_state.state, network, optimiser, generator, train, held))
        if progress is not None:
            progress(epoch + 1, schedule.epochs)
    network.eval()
    return Losses(tuple(train), tuple(held))


def _train_mode(network: nn.Module) -> None:
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
            module.eval()


def network_logits(
    network: nn.Module, images: Callable[[torch.Tensor], torch.Tensor], n: int, device: str = "cpu"
) -> Array:
    """Logits float32 [n, C] of a network in eval mode."""
    with torch.inference_mode():
        parts = [network(images(index).to(device)).cpu() for index in torch.arange(n).split(128)]
    return torch.cat(parts).numpy()
