"""TODO auditor.model.backbone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from auditor.config import MAX_PIXELS
from auditor.model.weights import IMAGENET_MEAN, IMAGENET_STD, Weights
from auditor.system.arrays import Array


@dataclass(frozen=True)
class Transform:
    """What happens to an image between its file and the backbone."""

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    max_pixels: int = MAX_PIXELS

    def normalise(self, pixels: Array | torch.Tensor) -> torch.Tensor:
        """uint8 [n, S, S, 3] to float32 [n, 3, S, S], channels last in memory."""
        batch = torch.as_tensor(pixels).permute(0, 3, 1, 2).float()  # a view: channels-last already
        mean = torch.tensor(self.mean).view(1, 3, 1, 1)
        std = torch.tensor(self.std).view(1, 3, 1, 1)
        return batch.sub_(mean * 255).div_(std * 255)


@dataclass(frozen=True)
class Backbone:
    """The network an audit starts from and how images reach it."""

    weights: Weights
    network: nn.Module
    transform: Transform
    device: str


SMALLEST_PRETRAINED = 64

LARGEST_AUTO = 224


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
    from auditor.model.weights import STUDY_MEAN, STUDY_STD

    if preset == "study":
        return STUDY_MEAN, STUDY_STD
    if weights.pretrained:
        return IMAGENET_MEAN, IMAGENET_STD
    return (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
