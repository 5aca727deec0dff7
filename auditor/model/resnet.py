"""ResNet18 as a backbone and a head: building, training and judging it.

With `--train head` the backbone is frozen in eval mode and only `fc`, a linear layer on its features, is trained; it
then sees features, never pixels. Otherwise the network is trained as a whole or in part.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from auditor.errors import WeightsError
from auditor.model import vision
from auditor.model.backbone import SMALLEST_PRETRAINED
from auditor.model.weights import Weights

N_FEATURES = 512
"""D of the last layer, which the head sees."""

N_LAYERED = 128 + 256 + N_FEATURES
"""D of the last three layers together, which detection sees; the head's features come last."""


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
    return channels_last(network).requires_grad_(False)


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


def channels_last(network: nn.Module) -> nn.Module:
    moved: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


class _seeded:
    """Torch's global generator at `seed` inside the block, as it was before afterwards."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __enter__(self) -> None:
        self._state = torch.get_rng_state()
        torch.manual_seed(self._seed)

    def __exit__(self, *_: object) -> None:
        torch.set_rng_state(self._state)
