"""How a network passes over the images: in which precision, and how often it looks at each."""

from __future__ import annotations

import torch
from torch import nn


class _InBfloat16(nn.Module):
    """A network that multiplies in bfloat16. Its inputs and outputs are float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            out: torch.Tensor = self.network(x)
        return out.float()


class Mirrored(nn.Module):
    """A network whose answer is the mean over an image and its mirror image."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        both: torch.Tensor = self.network(x) + self.network(x.flip(3))
        return both / 2


def in_precision(network: nn.Module, dtype: str) -> nn.Module:
    """The network itself for `float32`. For `bfloat16`, one that gives nearly the same.

    bfloat16 is faster on processors that have units for it, and slower on others.
    """
    return network if dtype == "float32" else _InBfloat16(network)
