"""Tunes a pretrained backbone on labels that may be wrong, and asks it about images whose labels it has not seen.

A network that is trained long on wrong labels learns them by heart. What keeps it from that here does not depend on the
labels: a classifying layer that starts at the frozen features' own head, a few epochs with a falling step, mixed pairs
of images with mixed labels (mixup; Zhang et al., 2018), and smoothed labels. No epoch is chosen by looking at labels.

The part of the network below the first trained layer is frozen. Its answers for an image and for its mirror image are
computed once, and all folds and epochs share them.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from auditor.compute.hardware import seeded
from auditor.model.halves import Halves
from auditor.model.placing import images_on
from auditor.model.scaling import Scaling
from auditor.model.softmax_head import SoftmaxHead
from auditor.model.tapped import pooled
from auditor.system.arrays import Array
from auditor.system.progress import Update

BATCH = 64
"""Images in a step, and in a pass of the frozen part."""

HEAD_DECAY = 0.3
"""Weight decay of the head on standardised frozen features from which the classifying layer starts."""


@dataclass(frozen=True)
class Recipe:
    """How a backbone is tuned.

    Attributes
    ----------
    epochs
        Passes over the images.
    learning_rate
        AdamW's, at the first step. It falls to 0 along half a cosine.
    weight_decay
        AdamW's.
    smoothing
        Part of a label that is spread over all classes.
    mixing
        Both parameters of the Beta distribution from which the parts of a mixed pair are drawn; 0 mixes nothing.
    half
        Whether steps multiply in bfloat16. Parameters, losses and answers stay in float32.
    """

    epochs: int = 5
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    smoothing: float = 0.1
    mixing: float = 0.4
    half: bool = False


@dataclass(frozen=True)
class Answers:
    """What a tuned network says of n images that it was not trained on, the mirror images' answers averaged in.

    Attributes
    ----------
    features
        float32 [n, D], what its classifying layer sees.
    log_probabilities
        float32 [n, C].
    """

    features: Array
    log_probabilities: Array


class Maps:
    """What the frozen part says of every image and of its mirror image: half precision [2, N, ...].

    Parameters
    ----------
    images
        Gives normalised images float32 [n, 3, S, S] for indices int64 [n].
    n
        N.
    halves
        The network.
    device
        Where networks run. The maps lie in the processor's memory.
    progress
        Called with the images that are done, and with all of them.
    """

    def __init__(
        self,
        images: Callable[[torch.Tensor], torch.Tensor],
        n: int,
        halves: Halves,
        device: str = "cpu",
        progress: Update | None = None,
    ) -> None:
        self.n, self.device = n, device
        lower = halves.lower.to(device)
        values: torch.Tensor | None = None
        with torch.inference_mode():
            for index in torch.arange(n).split(BATCH):
                shown = images_on(images(index), device)
                for way, seen in enumerate((shown, shown.flip(3))):
                    found = lower(seen).half().cpu()
                    if values is None:
                        values = torch.empty(2, n, *found.shape[1:], dtype=torch.float16)
                    values[way, index] = found
                if progress is not None:
                    progress(int(index[-1]) + 1, n)
        assert values is not None
        self.values = values

    def __call__(self, ways: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """float32 maps [n, ...] of images `index`, mirrored where `ways` is 1."""
        chosen = self.values[ways, index].float()
        return images_on(chosen.contiguous(memory_format=torch.channels_last), self.device)


def tuned(
    halves: Halves,
    maps: Maps,
    labels: Array,
    train: Array,
    recipe: Recipe,
    seed: int,
    progress: Update | None = None,
) -> nn.Module:
    """The upper part, tuned on some images.

    Parameters
    ----------
    labels
        int64 [N]. Only those of `train` are read.
    train
        int64 [n], the images that are learnt.
    seed
        Orders and mixes the images.
    progress
        Called with the epochs that are done, and with all of them.
    """
    upper: nn.Module = copy.deepcopy(halves.upper).to(maps.device)
    upper.eval()  # BatchNorm keeps the statistics that it came with: they depend on no batch
    y = torch.as_tensor(labels)
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng([seed, 77])
    with seeded(seed, maps.device):
        _start_head(upper, halves.classifier, maps, y, train)
        steps = recipe.epochs * math.ceil(len(train) / BATCH)
        chosen = [p for p in upper.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(chosen, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
        criterion = nn.CrossEntropyLoss(label_smoothing=recipe.smoothing)
        for epoch in range(recipe.epochs):
            order = torch.as_tensor(train)[torch.randperm(len(train), generator=generator)]
            for index in order.split(BATCH):
                ways = torch.randint(0, 2, (len(index),), generator=generator)
                x, other = maps(ways, index), torch.randperm(len(index), generator=generator)
                part = float(rng.beta(recipe.mixing, recipe.mixing)) if recipe.mixing else 1.0
                optimiser.zero_grad()
                with torch.autocast(torch.device(maps.device).type, dtype=torch.bfloat16, enabled=recipe.half):
                    logits = upper(torch.lerp(x[other], x, part)).float()
                ours, theirs = (y[at].to(maps.device) for at in (index, index[other]))
                loss = part * criterion(logits, ours) + (1 - part) * criterion(logits, theirs)
                loss.backward()
                optimiser.step()
                schedule.step()
            if progress is not None:
                progress(epoch + 1, recipe.epochs)
    return upper


def answers(upper: nn.Module, classifier: str, maps: Maps, rows: Array) -> Answers:
    """What a tuned upper part says of the images `rows` int64 [n]."""
    found = [_both(upper, classifier, maps, index) for index in torch.as_tensor(rows).split(BATCH)]
    features, logits = (torch.cat(parts).float().cpu() for parts in zip(*found, strict=True))
    return Answers(features.numpy(), torch.log_softmax(logits, dim=1).numpy())


def _both(upper: nn.Module, classifier: str, maps: Maps, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [n, D] and logits [n, C], each the mean over an image and its mirror image."""
    found = [_seen(upper, classifier, maps(torch.full_like(index, way), index)) for way in (0, 1)]
    return (found[0][0] + found[1][0]) / 2, (found[0][1] + found[1][1]) / 2


def _seen(upper: nn.Module, classifier: str, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What enters the classifying layer, and what leaves the network."""
    entered: list[torch.Tensor] = []

    def keep(_: nn.Module, given: Any) -> None:
        entered.append(given[0])

    handle = upper.get_submodule(classifier).register_forward_pre_hook(keep)
    try:
        with torch.inference_mode():
            logits: torch.Tensor = upper(x)
    finally:
        handle.remove()
    return pooled(entered[-1]), logits


def _start_head(upper: nn.Module, classifier: str, maps: Maps, y: torch.Tensor, train: Array) -> None:
    """Set the classifying layer to the head that frozen features give (Kumar et al., 2022), where it is linear."""
    layer = upper.get_submodule(classifier)
    if not isinstance(layer, nn.Linear):
        return
    parts = [_seen(upper, classifier, maps(torch.zeros_like(i), i))[0] for i in torch.as_tensor(train).split(BATCH)]
    features = torch.cat(parts).float().cpu().numpy()
    scaling = Scaling.of(features)
    head = SoftmaxHead.train(scaling(features), y[train].numpy(), layer.out_features, HEAD_DECAY)
    weight = head.weight / scaling.scale
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weight))
        if layer.bias is not None:
            layer.bias.copy_(torch.as_tensor(head.bias - weight @ scaling.mean))


def step_seconds(halves: Halves, maps: Maps, n_classes: int) -> float:
    """Seconds that a step takes here, measured on one batch under made labels."""
    rows, began = np.arange(min(maps.n, 2 * BATCH)), time.perf_counter()
    tuned(halves, maps, rows % n_classes, rows, Recipe(epochs=1), 0)
    return (time.perf_counter() - began) / math.ceil(len(rows) / BATCH)
