"""How a head on features and a whole network are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from auditor.compute import hardware
from auditor.errors import ConfigError
from auditor.model import training_state
from auditor.model.backbone import channels_last
from auditor.model.placing import images_on, placed, require_agreement
from auditor.model.softmax_head import SoftmaxHead
from auditor.system.arrays import Array
from auditor.system.progress import Update

IMAGES_A_PASS = 128
"""Images that go through a network at a time where no gradient is taken."""

Images = Callable[[torch.Tensor], torch.Tensor]
"""Gives normalised images float32 [n, 3, S, S] for a tensor of n indices."""


@dataclass(frozen=True)
class LabelledImages:
    """The images of a split, and their labels int64 [N] in 0..C-1."""

    images: Images
    labels: Array


@dataclass(frozen=True)
class Losses:
    """Mean cross-entropy of each epoch, or at start and end; `val` is empty without a validation split."""

    train: tuple[float, ...]
    val: tuple[float, ...] = ()


@dataclass(frozen=True)
class Schedule:
    """How a model is trained: Adam on mean cross-entropy, as in the reference study."""

    epochs: int
    learning_rate: float
    batch_size: int
    seed: int


def settle_batchnorm(network: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Give the trained BatchNorm layers the statistics of the images. No label is used."""
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
) -> tuple[SoftmaxHead, Losses]:
    """Train a linear head on features. It gives the numbers of training the last layer of the frozen network.

    Parameters
    ----------
    features, labels
        float32 [N, D], and int64 [N] in 0..C-1.
    val
        The same of the validation split.
    """
    generator = torch.Generator().manual_seed(schedule.seed)
    bound = features.shape[1] ** -0.5  # torch's own initialisation of a linear layer
    shapes = (n_classes, features.shape[1]), (n_classes,)
    drawn = (torch.empty(shape).uniform_(-bound, bound, generator=generator) for shape in shapes)
    weight, bias = (part.to(device) for part in drawn)
    points = torch.as_tensor(features).to(device), torch.as_tensor(labels).to(device)
    held_out = None if val is None else (torch.as_tensor(val[0]).to(device), torch.as_tensor(val[1]).to(device))
    with hardware.one_thread(), torch.no_grad():
        losses = _fit((weight, bias), points, held_out, schedule, generator, progress)
    return SoftmaxHead(weight.cpu().numpy(), bias.cpu().numpy()), losses


def _fit(
    head: tuple[torch.Tensor, torch.Tensor],
    points: tuple[torch.Tensor, torch.Tensor],
    held_out: tuple[torch.Tensor, torch.Tensor] | None,
    schedule: Schedule,
    generator: torch.Generator,
    progress: Update | None,
) -> Losses:
    """Train a head in place. Gradients are in closed form: recording them took half of the time."""
    (weight, bias), (x, y) = head, points
    optimiser = torch.optim.Adam(head, lr=schedule.learning_rate, fused=True)
    train, val = [], []
    for epoch in range(schedule.epochs):
        total = 0.0
        for index in torch.randperm(len(y), generator=generator).split(schedule.batch_size):
            chosen = index.to(x.device)
            seen, given = x[chosen], y[chosen][:, None]
            log_p = torch.log_softmax(torch.addmm(bias, seen, weight.T), dim=1)
            total -= float(log_p.gather(1, given).sum())
            excess = log_p.exp_().scatter_add_(1, given, -torch.ones_like(given, dtype=log_p.dtype)).div_(len(index))
            weight.grad, bias.grad = excess.T @ seen, excess.sum(dim=0)
            optimiser.step()
        train.append(total / len(y))
        if held_out is not None:
            logits = torch.addmm(bias, held_out[0], weight.T)
            val.append(float(nn.functional.cross_entropy(logits, held_out[1])))
        if progress is not None:
            progress(epoch + 1, schedule.epochs)
    return Losses(tuple(train), tuple(val))


def _adam(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """Adam over what is trained. The fused kernel is an order of magnitude faster on a large network."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return torch.optim.Adam(parameters, lr=schedule.learning_rate, fused=True)


def trainable(network: nn.Module, train: str, classifier: str = "fc") -> list[str]:
    """Set `requires_grad` as `--train` says, and name the parameters that are trained.

    Parameters
    ----------
    train
        `full`, `head` or `layers:NAME,...`.
    classifier
        Name of the classifying layer, for `head`.

    Raises
    ------
    ConfigError
        When a named layer does not exist.
    """
    if train == "full":
        wanted: tuple[str, ...] = ("",)
    elif train == "head":
        wanted = (classifier,)
    else:
        wanted = tuple(name.strip() for name in train.removeprefix("layers:").split(",") if name.strip())
        for name in wanted:
            if not any(_within(parameter, name) for parameter, _ in network.named_parameters()):
                known = ", ".join(dict.fromkeys(p.split(".")[0] for p, _ in network.named_parameters()))
                raise ConfigError(
                    f"--train names a layer '{name}' that the backbone does not have", hint=f"it has {known}"
                )
    names = []
    for parameter_name, parameter in network.named_parameters():
        chosen = any(_within(parameter_name, layer) for layer in wanted)
        parameter.requires_grad_(chosen)
        if chosen:
            names.append(parameter_name)
    return names


def _within(parameter: str, layer: str) -> bool:
    """Whether a parameter belongs to a layer; the layer `""` is the whole network."""
    return layer == "" or parameter == layer or parameter.startswith(layer + ".")


def train_network(
    network: nn.Module,
    points: LabelledImages,
    schedule: Schedule,
    *,
    val: LabelledImages | None = None,
    device: str = "cpu",
    progress: Update | None = None,
    store: training_state.StateStore | None = None,
) -> Losses:
    """Train the parameters that require a gradient, in place; leaves the network in eval mode.

    BatchNorm layers with frozen parameters stay in eval mode. The trained ones end with the statistics of the training
    images under the final parameters: a moving average over few steps lags behind.

    Parameters
    ----------
    store
        Keeps the state after an epoch, and holds the state from which an interrupted training goes on.
    """
    generator = torch.Generator().manual_seed(schedule.seed)
    if not hardware.tried(device):
        require_agreement(network, device, points.images(torch.zeros(1, dtype=torch.int64)).shape[-1], gradients=True)
    placed(channels_last(network), device)
    optimiser = _adam(network, schedule)
    criterion = nn.CrossEntropyLoss()
    images, y = points.images, torch.as_tensor(points.labels)
    # A batch of one image cannot pass BatchNorm in train mode. One huge batch makes too few steps.
    size = max(2, min(schedule.batch_size, 32 if len(y) <= 2048 else 128))
    train_losses, val_losses = training_state.restore_state(store, network, optimiser, generator)
    for epoch in range(len(train_losses), schedule.epochs):
        _train_mode(network)
        total, seen = 0.0, 0
        for index in torch.randperm(len(y), generator=generator).split(size):
            if len(index) < 2:
                continue
            optimiser.zero_grad()
            loss = criterion(network(images_on(images(index), device)), y[index].to(device))
            loss.backward()
            optimiser.step()
            total, seen = total + float(loss.detach()) * len(index), seen + len(index)
        if epoch + 1 == schedule.epochs:
            settle_batchnorm(network, (images_on(images(index), device) for index in _passes(len(y))))
        network.eval()
        train_losses.append(total / max(seen, 1))
        if val is not None:
            logits = network_logits(network, val.images, len(val.labels), device)
            val_losses.append(float(criterion(torch.as_tensor(logits), torch.as_tensor(val.labels))))
        if store is not None:
            store.save(partial(training_state.capture_state, network, optimiser, generator, train_losses, val_losses))
        if progress is not None:
            progress(epoch + 1, schedule.epochs)
    network.eval()
    return Losses(tuple(train_losses), tuple(val_losses))


def _train_mode(network: nn.Module) -> None:
    """Train mode, but for BatchNorm layers with frozen parameters."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
            module.eval()


def network_logits(network: nn.Module, images: Images, n: int, device: str = "cpu") -> Array:
    """Logits float32 [n, C] of a network in eval mode."""
    with torch.inference_mode():
        parts = [network(images_on(images(index), device)).cpu() for index in _passes(n)]
    return torch.cat(parts).numpy()


def _passes(n: int) -> Iterator[torch.Tensor]:
    """The indices of `n` images, `IMAGES_A_PASS` at a time."""
    yield from torch.arange(n).split(IMAGES_A_PASS)
