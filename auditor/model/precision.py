"""The precision of a network's pass over the images."""

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


def in_precision(network: nn.Module, dtype: str) -> nn.Module:
    """The network itself for `float32`. For `bfloat16`, one that gives nearly the same.

    bfloat16 is faster on processors that have units for it, and slower on others.
    """
    return network if dtype == "float32" else _InBfloat16(network)
