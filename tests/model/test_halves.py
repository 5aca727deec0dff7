"""Any network in two parts: together they say what it says, and what is frozen is run once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import tiny_backbone, tiny_network
from torch import nn

from auditor.model import backbone_kind
from auditor.model.halves import Halves, late_layers, map_bytes, operations
from auditor.model.own_kind import module_kind
from auditor.model.resnet import ResNet18
from auditor.model.tuning import Maps, Recipe, answers, tuned

EDGE = 16


class Transform:
    """How the user's network wants its images."""

    size, mean, std = EDGE, (0.5,) * 3, (0.25,) * 3


class Block(nn.Module):
    """A residual block. Its code branches on what it was made with."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.plain = nn.Conv2d(width, width, 3, padding=1), width < 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.plain else x + torch.relu(self.conv(x))


class Own(nn.Module):
    """A user's network: it asks for the number of images at its start, and uses it at its end."""

    def __init__(self, way: str = "size") -> None:
        super().__init__()
        self.way, self.stem = way, nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList([Block(8) for _ in range(3)])
        self.bias = nn.Parameter(torch.ones(8, 1, 1))
        self.head = nn.Linear(8 * (EDGE // 2) ** 2, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n = {"size": lambda: x.size(0), "shape": lambda: x.shape[0], "sizes": lambda: x.size()[0]}.get(
            self.way, lambda: -1
        )()
        x = self.stem(x)
        if self.way == "looks" and x.mean() > 1e6:
            return x
        for block in self.blocks:
            x = block(x)
        return self.head((x + self.bias).view(n, 8 * (EDGE // 2) ** 2))


def cut(halves: Halves) -> bool:
    """Whether anything is frozen."""
    return any(True for _ in halves.lower.parameters())


@pytest.mark.parametrize("way", ["size", "shape", "sizes", "plain"])
def test_a_users_own_network_is_cut_before_its_first_tuned_layer(way):
    torch.manual_seed(0)
    kind = module_kind(Own(way), Transform())
    network = kind.network(3, EDGE, pretrained=True).eval()
    halves = Halves(kind, network, "layers:body.blocks.2", EDGE)
    assert cut(halves) and not any(p.requires_grad for p in halves.lower.parameters())
    names = {name for name, p in halves.upper.named_parameters() if p.requires_grad}
    assert names == {"body.blocks.2.conv.weight", "body.blocks.2.conv.bias", "fc.weight", "fc.bias"}
    x = torch.randn(5, 3, EDGE, EDGE)
    torch.testing.assert_close(halves.upper(halves.lower(x)), network(x))
    assert map_bytes(halves) == 4 * 8 * (EDGE // 2) ** 2, "what enters the tuned block"


@pytest.mark.parametrize(
    ("way", "layers"), [("looks", "layers:body.blocks.2"), ("size", "full"), ("size", "layers:body.stem")]
)
def test_what_cannot_be_followed_or_has_nothing_frozen_before_it_is_run_whole(way, layers):
    kind = module_kind(Own(way), Transform())
    network = kind.network(3, EDGE, pretrained=True).eval()
    halves = Halves(kind, network, layers, EDGE)
    x = torch.randn(2, 3, EDGE, EDGE)
    assert not cut(halves)
    torch.testing.assert_close(halves.lower(x), x)
    torch.testing.assert_close(halves.upper(x), network(x))


def test_parts_that_do_not_say_what_the_network_says_are_not_used():
    class Wrong(ResNet18):
        def parts(self, network):
            return [part for part in super().parts(network) if part[0] != "layer2"]

    network = tiny_network(2, 0)
    halves = Halves(Wrong(), network, "layers:layer4", EDGE)
    x = torch.randn(2, 3, EDGE, EDGE)
    assert not cut(halves)
    torch.testing.assert_close(halves.upper(halves.lower(x)), network(x), atol=1e-4, rtol=1e-4)


def test_a_named_chain_and_the_followed_network_are_cut_alike():
    class Unnamed(ResNet18):
        def parts(self, network):
            return []

    rng, n = np.random.default_rng(0), 60
    images = torch.as_tensor(rng.normal(size=(n, 3, 8, 8)).astype(np.float32))
    said = []
    for kind in (tiny_backbone(), Unnamed()):
        halves = Halves(kind, tiny_network(2, 0), "layers:layer4,fc", 8)
        maps = Maps(lambda index: images[index], n, halves)
        upper = tuned(halves, maps, np.arange(n) % 2, np.arange(40), Recipe(epochs=1), 0)
        said.append(answers(upper, halves.classifier, maps, np.arange(n)).log_probabilities)
        assert cut(halves)
    np.testing.assert_allclose(said[0], said[1], atol=1e-5)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2_x1_0", "squeezenet1_1"])
def test_networks_of_torchvision_are_cut_at_their_late_layers(name):
    kind = backbone_kind(name)
    network = kind.network(3, 64, pretrained=True).eval()
    layers = late_layers(network, kind.classifier)
    halves = Halves(kind, network, layers, 64)
    held = sum(p.numel() for p in network.parameters())
    assert cut(halves) and 0.85 * held < halves.n_tuned < held
    assert operations(halves) < 0.9 * operations(Halves(kind, network, "full", 64))


def test_late_layers_hold_nine_tenths_of_the_parameters_wherever_they_lie():
    assert late_layers(ResNet18().network(10, 64, pretrained=True), "fc") == "layers:layer3,layer4"
    assert late_layers(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)), "1") == "full"
    inner = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 40), nn.Linear(40, 4))
    nested = nn.Sequential(nn.Linear(2, 4), nn.Sequential(inner), nn.Linear(4, 2))
    assert late_layers(nested, "2") == "layers:1.0.1,1.0.2"
