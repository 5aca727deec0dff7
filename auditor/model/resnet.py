"""ResNet18, the reference study's network and the default backbone."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from auditor.model import vision
from auditor.model.backbone import BackboneKind, PublishedWeights, channels_last


class ResNet18(BackboneKind):
    """torchvision's ResNet18 with a new `fc`, and one pooled number a channel whatever the image size.

    Its extractor gives the pooled activations of layer2 (128), layer3 (256) and layer4 (512), side by side. The
    earlier layers find wrong labels that the last one misses, and the pass costs the same.
    """

    name = "resnet18"
    meaning = "torchvision's ResNet18, the network of the reference study"
    n_features = 512
    n_layered = 128 + 256 + n_features
    published = PublishedWeights("https://download.pytorch.org/models/resnet18-f37072fd.pth", "f37072fd", 45)

    def network(self, n_classes: int, image_size: int, *, pretrained: bool) -> nn.Module:
        """See `BackboneKind`.

        A network that starts from nothing on images below 64 pixels gets a 3x3 stem without stride or pooling. The
        published stem would shrink an 8-pixel digit to 2 pixels before the first block.
        """
        network: nn.Module = vision.models().resnet18(weights=None)
        network.avgpool = nn.AdaptiveAvgPool2d(1)
        network.fc = nn.Linear(self.n_features, n_classes)
        if not pretrained and image_size < self.smallest_pretrained:
            network.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
            network.maxpool = nn.Identity()
        return network

    def extractor(self, network: nn.Module) -> nn.Module:
        """See `BackboneKind`."""
        return _Layered(feature_extractor(network)).requires_grad_(False).eval()

    def parts(self, network: nn.Module) -> list[tuple[str, nn.Module]]:
        """See `BackboneKind`."""
        chain = list(network.named_children())
        return [*chain[:-1], ("flatten", nn.Flatten()), chain[-1]]

    def cache_key(self) -> dict[str, object]:
        """The key of earlier versions, which knew one backbone: their caches stay valid."""
        return {"layers": "2,3,4"}


def feature_extractor(network: nn.Module) -> nn.Module:
    """A ResNet18 without `fc`: images float32 [n, 3, S, S] to the last layer's features [n, 512].

    BatchNorm is folded into the convolutions. In eval mode that is exact up to rounding, and it saves a tenth of the
    forward pass.
    """
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
        """float32 [n, 3, S, S] to [n, 896]."""
        net: Any = self.network
        x = net.layer1(net.maxpool(net.relu(net.bn1(net.conv1(images)))))
        second = net.layer2(x)
        third = net.layer3(second)
        return torch.cat([layer.mean(dim=(2, 3)) for layer in (second, third, net.layer4(third))], dim=1)


def _fold(module: nn.Module, convolution: str, norm: str) -> None:
    """Fold a BatchNorm child into the convolution before it."""
    first, second = module.get_submodule(convolution), module.get_submodule(norm)
    if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
        module.set_submodule(convolution, fuse_conv_bn_eval(first, second))
        module.set_submodule(norm, nn.Identity())
