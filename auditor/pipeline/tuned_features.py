"""Detection on features that learn: networks that were tuned on other folds, and what they say of each image.

The images are split into folds. For each fold a copy of the backbone is tuned on the labels of all other folds, and is
asked about the images of this one. No network that judges an image has seen its label, or that of a copy of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from auditor.config import AuditSettings
from auditor.data.inputs import Inputs
from auditor.detection import Labelled
from auditor.detection.influence import folds_of
from auditor.model import tuning
from auditor.model.backbone import Backbone
from auditor.model.halves import Halves, late_layers
from auditor.model.tuning import BATCH, Maps, Recipe
from auditor.pipeline.job import Job
from auditor.system.arrays import Array
from auditor.system.memory import size_text
from auditor.system.progress import Update
from auditor.system.text import counted

FOLDS = 3
"""Folds of tuning. Each network learns from two thirds of the images."""


def serves(backbone: Backbone | None, settings: AuditSettings) -> bool:
    """Whether detection rests on tuned networks: more than a head is trained, and the backbone is pretrained.

    A backbone that starts from nothing learns too little from a part of the images. The study knows no detection.
    """
    return backbone is not None and backbone.weights.pretrained and _asked(settings)


def _asked(settings: AuditSettings) -> bool:
    return not settings.freezes_backbone and settings.preset != "study"


def layers_of(backbone: Backbone, settings: AuditSettings) -> str:
    """The layers that are tuned for detection: those that the user named, and with `auto` the last ones."""
    if settings.train == "auto":
        return late_layers(backbone.network, backbone.kind.classifier)
    return settings.train


def halves_of(backbone: Backbone, settings: AuditSettings) -> Halves:
    """The backbone of an audit before and from the first layer that is tuned for detection."""
    return Halves(backbone.kind, backbone.network, layers_of(backbone, settings), backbone.transform.size)


@dataclass(frozen=True)
class Said:
    """What networks say of images that they were not tuned on: features float32 [n, D], log probabilities [n, C]."""

    features: Array
    log_probabilities: Array


@dataclass(frozen=True)
class Tuned:
    """What networks that were tuned on other folds say of n audited images, and of the trusted ones where there are."""

    audited: Said
    trusted: Said | None

    def joined(self, images: Labelled) -> Labelled:
        """The same images, with what the networks say beside the features of the frozen one."""
        reference = images.reference
        if reference is not None and self.trusted is not None:
            reference = np.hstack([reference[0], self.trusted.features]), reference[1]
        return replace(
            images,
            features=np.hstack([images.features, self.audited.features]),
            reference=reference,
            probabilities=_probabilities(self.audited),
            reference_probabilities=None if self.trusted is None else _probabilities(self.trusted),
            tuned=True,
        )


def _probabilities(said: Said) -> Array:
    """Probabilities [n, C] above 0."""
    return np.asarray(np.exp(np.maximum(said.log_probabilities, -60.0)), np.float32)


class Tuner:
    """Tunes the backbone of an audit on the folds of any labelling. The frozen layers' answers are computed once.

    Parameters
    ----------
    inputs
        With pixels and the backbone.
    halves
        The backbone, as `halves_of` cuts it.
    """

    def __init__(self, inputs: Inputs, job: Job, halves: Halves) -> None:
        data = inputs.data
        assert data.pixels is not None
        self.job, self.halves, self.n, self.n_classes = job, halves, len(data.labels), data.n_classes
        self.groups = inputs.groups
        self.recipe = Recipe(half=inputs.exact_device.startswith("cuda") or job.settings.dtype == "bfloat16")
        pixels, trusted = data.pixels, inputs.trusted
        others = None if trusted is None else trusted.pixels
        self.m = 0 if trusted is None else len(trusted.labels)

        def images(index: torch.Tensor) -> torch.Tensor:
            ours = index[index < self.n]
            parts = [pixels.batch(ours)] if len(ours) else []
            if others is not None and len(ours) < len(index):
                parts.append(others.batch(index[index >= self.n] - self.n))
            return torch.cat(parts)

        with job.stage("maps", "Running the frozen layers") as update:
            self.maps = Maps(images, self.n + self.m, self.halves, inputs.exact_device, update)
        job.progress.say(self._cost(job.settings.repeats))

    def _cost(self, repeats: int) -> str:
        """A line for the terminal: how long tuning will take here, and what it holds in memory."""
        steps = FOLDS * self.recipe.epochs * math.ceil(self.n * (FOLDS - 1) / FOLDS / BATCH)
        minutes = steps * tuning.step_seconds(self.halves, self.maps, self.n_classes) / 60
        more = "once more" if repeats == 1 else f"{repeats} times more"
        long = counted(max(1, round(minutes)), "minute", "minutes")
        return (
            f"  tuning {FOLDS} networks for {self.recipe.epochs} epochs takes about {long} here, "
            f"and the experiment does it {more} on its own part; "
            f"the frozen layers' answers take {size_text(self.maps.values.nbytes)}"
        )

    def note(self, told: Tuned, labels: Array) -> str:
        """What detection rests on, for the reader of a result. Labels of -1 were not taught."""
        right = float((told.audited.log_probabilities.argmax(axis=1) == labels)[labels >= 0].mean())
        return (
            f"Detection also rests on {FOLDS} networks that were tuned ({self.halves.layers}). Each judged the "
            f"images of a fold that it did not learn from, and gave {right:.0%} of the labels that they carry."
        )

    def __call__(self, labels: Array, rows: Array, stage: str, update: Update) -> Tuned:
        """What tuned networks say of some audited images.

        Parameters
        ----------
        labels
            int64 [n], what those images teach. An image of -1 teaches nothing.
        rows
            int64 [n], the images.
        stage
            The name under which each finished fold is kept.
        """
        seed = self.job.settings.seed
        fold = folds_of(None if self.groups is None else self.groups[rows], len(rows), FOLDS, seed)
        taught = np.full(self.n, -1, np.int64)
        taught[rows] = labels
        known, trusted = labels >= 0, np.arange(self.n, self.n + self.m)
        folds = range(int(fold.max()) + 1)
        parts = list[tuple[Array, ...]]()
        for number in folds:
            held = rows[fold == number]
            train = rows[(fold != number) & known]

            def ask(held: Array = held, train: Array = train, number: int = number) -> tuple[Array, ...]:
                done = number * self.recipe.epochs
                whole = len(folds) * self.recipe.epochs
                upper = tuning.tuned(
                    self.halves, self.maps, taught, train, self.recipe, seed, lambda at, _: update(done + at, whole)
                )
                told = tuning.answers(upper, self.halves.classifier, self.maps, np.concatenate([held, trusted]))
                return told.features, told.log_probabilities

            parts.append(self.job.kept.once(f"{stage}-{number}", ask))
        return _laid(parts, [np.flatnonzero(fold == number) for number in folds], len(rows))


def _laid(parts: list[tuple[Array, ...]], held: list[Array], n: int) -> Tuned:
    """Answers of all folds in the order of the images. Of trusted images, which no fold holds, the mean of all."""
    audited, trusted = list[Array](), list[Array]()
    for values in zip(*parts, strict=True):
        whole = np.empty((n, values[0].shape[1]), np.float32)
        for rows, found in zip(held, values, strict=True):
            whole[rows] = found[: len(rows)]
        audited.append(whole)
        others = [found[len(rows) :] for rows, found in zip(held, values, strict=True)]
        trusted.append(np.mean(others, axis=0, dtype=np.float64).astype(np.float32))
    return Tuned(Said(*audited), Said(*trusted) if len(trusted[0]) else None)
