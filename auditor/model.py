"""ResNet18 as a backbone and a head: building, training and judging it.

With `--train head` the backbone is frozen in eval mode and only `fc`, a linear layer on its features, is trained; it
then sees features, never pixels. Otherwise the network is trained as a whole or in part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.metrics import confusion_matrix, f1_score
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from auditor import machine, training, vision
from auditor.arrays import Array
from auditor.errors import ConfigError, WeightsError
from auditor.weights import IMAGENET_MEAN, IMAGENET_STD, Weights

N_FEATURES = 512
"""D of the last layer, which the head sees."""
N_LAYERED = 128 + 256 + N_FEATURES
"""D of the last three layers together, which detection sees; the head's features come last."""
SMALLEST_PRETRAINED = 64
LARGEST_AUTO = 224
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Losses:
    """Mean cross-entropy per epoch; `val` is empty without a validation split."""

    train: tuple[float, ...]
    val: tuple[float, ...]


@dataclass(frozen=True)
class Quality:
    """How well a model classifies a split: `confusion[i][j]` counts given label i predicted as j."""

    n: int
    accuracy: float
    f1_weighted: float
    confusion: tuple[tuple[int, ...], ...]


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


def build_network(weights: Weights, n_classes: int, image_size: int, seed: int) -> nn.Module:
    """torchvision's ResNet18 with `AdaptiveAvgPool2d(1)`, a new `fc`, and `weights` in its backbone, in eval mode.

    A network that starts from nothing on images below 64 pixels gets a 3x3 stem without stride or pooling, since the
    published stem would shrink an 8-pixel digit to 2 pixels before the first block.

    Raises
    ------
    WeightsError
        When `weights` do not fit a ResNet18's backbone.
    """
    with _seeded(seed):
        network: nn.Module = vision.models().resnet18(weights=None)
        network.avgpool = nn.AdaptiveAvgPool2d(1)
        network.fc = nn.Linear(N_FEATURES, n_classes)
        if not weights.pretrained and image_size < SMALLEST_PRETRAINED:
            network.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
            network.maxpool = nn.Identity()
    if weights.state is not None:
        _load(network, weights)
    return network.eval()


def _load(network: nn.Module, weights: Weights) -> None:
    assert weights.state is not None
    wanted = {k: v.shape for k, v in network.state_dict().items() if not k.startswith("fc.")}
    optional = {k for k in wanted if k.endswith("num_batches_tracked")}
    missing = sorted(set(wanted) - optional - set(weights.state))
    extra = sorted(set(weights.state) - set(wanted))
    wrong = sorted(k for k in set(wanted) & set(weights.state) if weights.state[k].shape != wanted[k])
    damaged = sorted(k for k, v in weights.state.items() if not torch.isfinite(v).all())
    if damaged and not (missing or extra or wrong):
        raise WeightsError(
            f"{weights.name} is damaged: parameter {damaged[0]} holds NaN or infinity", hint="give another file"
        )
    for what, names in (("lacks", missing), ("has an unknown", extra), ("has another shape of", wrong)):
        if names:
            raise WeightsError(
                f"{weights.name} is not a resnet18: it {what} parameter {names[0]}"
                + (f" (and {len(names) - 1} more)" if len(names) > 1 else ""),
                hint="give the state_dict of torchvision's resnet18",
            )
    network.load_state_dict(weights.state, strict=False)


def image_size_for(setting: str, edges: Array, weights: Weights) -> int:
    """The edge in pixels the backbone sees: the images' own where it can use it.

    Parameters
    ----------
    setting
        `auto` or a number.
    edges
        The shorter edges of some of the images, pixels.
    """
    if setting != "auto":
        return int(float(setting))
    own = int(np.median(edges)) if len(edges) else SMALLEST_PRETRAINED
    smallest = SMALLEST_PRETRAINED if weights.pretrained else 8
    return min(max(own, smallest), LARGEST_AUTO)


def normalisation(preset: str, weights: Weights) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel: the weights' own, or the reference study's."""
    from auditor.weights import STUDY_MEAN, STUDY_STD

    if preset == "study":
        return STUDY_MEAN, STUDY_STD
    if weights.pretrained:
        return IMAGENET_MEAN, IMAGENET_STD
    return (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def feature_extractor(network: nn.Module) -> nn.Module:
    """The network without its head, BatchNorm folded into the convolutions: images [n, 3, S, S] to features [n, 512].

    Folding is exact up to rounding in eval mode and spares a tenth of the forward pass.
    """
    import copy

    network = copy.deepcopy(network).eval()
    network.fc = nn.Identity()
    _fold(network, "conv1", "bn1")
    for block in network.modules():
        if type(block).__name__ != "BasicBlock":
            continue
        _fold(block, "conv1", "bn1")
        _fold(block, "conv2", "bn2")
        if isinstance(block.downsample, nn.Sequential):
            _fold(block.downsample, "0", "1")
    return _channels_last(network).requires_grad_(False)


class _Layered(nn.Module):
    """A ResNet18's pooled activations after layer2, layer3 and layer4, side by side."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[n, 3, S, S] to [n, `N_LAYERED`]."""
        net: Any = self.network
        x = net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(images)))))
        second = net.layer2(x)
        third = net.layer3(second)
        return torch.cat([layer.mean(dim=(2, 3)) for layer in (second, third, net.layer4(third))], dim=1)


def layered_extractor(network: nn.Module) -> nn.Module:
    """Like `feature_extractor`, but [n, `N_LAYERED`]: what earlier layers saw finds wrong labels that the last misses.

    The last `N_FEATURES` columns are those of `feature_extractor`; the pass costs the same.
    """
    return _Layered(feature_extractor(network)).requires_grad_(False).eval()


class _InBfloat16(nn.Module):
    """A network whose products are taken in bfloat16; what comes in and goes out is float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            out: torch.Tensor = self.network(x)
        return out.float()


def in_precision(network: nn.Module, dtype: str) -> nn.Module:
    """The network as it is for `float32`; for `bfloat16` one that gives nearly the same, faster where the processor
    has units for it."""
    return network if dtype == "float32" else _InBfloat16(network)


def _fold(module: nn.Module, convolution: str, norm: str) -> None:
    """Fold a BatchNorm child into the convolution before it."""
    first, second = module.get_submodule(convolution), module.get_submodule(norm)
    if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
        module.set_submodule(convolution, fuse_conv_bn_eval(first, second))
        module.set_submodule(norm, nn.Identity())


def _channels_last(network: nn.Module) -> nn.Module:
    moved: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


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
    progress: Progress | None = None,
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
    with machine.one_thread():
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
    progress: Progress | None,
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
    progress: Progress | None = None,
    keeper: training.Keeper | None = None,
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
    _channels_last(network).to(device)
    optimiser = _adam(network, schedule)
    criterion = nn.CrossEntropyLoss()
    y = torch.as_tensor(labels)
    # A batch of one image cannot pass BatchNorm in train mode, and one huge batch makes too few steps.
    size = max(2, min(schedule.batch_size, 32 if len(y) <= 2048 else 128))
    done, train, held = training.resumed(keeper, network, optimiser, generator)
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
            keeper.save(partial(training.state, network, optimiser, generator, train, held))
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


def quality(logits: Array, labels: Array, n_classes: int) -> Quality:
    """Weighted F1, accuracy and confusion matrix of predictions on a split."""
    predicted = logits.argmax(axis=1)
    matrix = confusion_matrix(labels, predicted, labels=np.arange(n_classes))
    return Quality(
        n=len(labels),
        accuracy=float((predicted == labels).mean()),
        f1_weighted=float(f1_score(labels, predicted, average="weighted", zero_division=0)),
        confusion=tuple(tuple(int(v) for v in row) for row in matrix),
    )


def softmax(logits: Array) -> Array:
    """Row-wise softmax, float64 [N, C]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    exponential = np.exp(shifted)
    return np.asarray(exponential / exponential.sum(axis=1, keepdims=True))


class _seeded:
    """Torch's global generator at `seed` inside the block, as it was before afterwards."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __enter__(self) -> None:
        self._state = torch.get_rng_state()
        torch.manual_seed(self._seed)

    def __exit__(self, *_: object) -> None:
        torch.set_rng_state(self._state)
