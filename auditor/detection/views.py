"""Everything that detection computes of the features before any label: bases, folds and neighbours.

Once it stands, the heads judge any labelling of the same images at little cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from auditor.compute.side_by_side import each
from auditor.detection.kernel_head import KernelHead, one_hot, temperature
from auditor.detection.kin import Kin
from auditor.detection.label_model import fit_label_model
from auditor.detection.registry import all_signals
from auditor.detection.results import DetectionSettings
from auditor.detection.signals import HeadOutputs, Signal, Signals
from auditor.model.scaling import Scaling, unit_rows
from auditor.model.softmax_head import SoftmaxHead
from auditor.system.arrays import Array
from auditor.system.memory import give_back

WEIGHT_DECAYS = (0.03, 0.01, 0.003, 0.001)
"""Weight decays tried for the stacked head, strongest first."""

STACK_ITERATIONS = 30

MOST_SPLITS, SPLIT_IMAGES, SPLIT_NUMBERS = 6, 12_000, 2_400_000
"""The stacked head's folds are drawn up to six times. Two limits hold: the images predicted in all, and that number
times the square of the classes. With few images it matters most which of them share a fold."""

TRUSTED_OF_CLASS = 5
"""Trusted images that each class needs before trusted labels teach a head of their own."""

NEIGHBOURS = 60

NEIGHBOUR_DIMENSIONS = 64

SIMILARITIES = 2**22
"""Pairs of images compared at a time. They take 16 MB, and this is faster than 64 MB."""


@dataclass(frozen=True)
class Known:
    """What is known of N audited images beside their features.

    Attributes
    ----------
    families
        int64 [N], the family of each image; None where each stands alone. No head that judges an image has seen one of
        its family, and no image is its family's neighbour.
    own
        float32 [N + m, C], probabilities of a model that has not seen the images, above 0; None where none are given.
    tuned
        Whether that model is the audit's own tuned network, and not the user's.
    """

    families: Array | None = None
    own: Array | None = None
    tuned: bool = False


NOTHING = Known()
"""Nothing is known but the features."""


class Views:
    """Bases, folds and neighbours of the same images, for any number of labellings.

    Parameters
    ----------
    scaled
        float32 [N + m, D], standardised features. The m trusted images come last. Their memory is taken, and the
        content is lost.
    trusted
        int64 [m], their labels; m may be 0.
    n_classes
        C.
    settings
        `landmarks`, `folds` and `splits` are used here.
    seed
        Draws folds and landmarks.
    device
        Where bases lie and heads are trained.
    known
        What is known of the images beside their features.

    Attributes
    ----------
    table
        The signals that are computed, in order.
    vouched
        Whether each class has enough trusted images to teach a head of their own.
    """

    def __init__(
        self,
        scaled: Array,
        trusted: Array,
        n_classes: int,
        *,
        settings: DetectionSettings,
        seed: int,
        device: str = "cpu",
        known: Known = NOTHING,
    ) -> None:
        families, own = known.families, known.own
        self.own_loss = None if own is None else -np.log(own)
        self.table = tuple(signal for signal in all_signals() if _served(signal, known))
        unit = unit_rows(scaled, consume=True)
        self.trusted, self.seed, self.device = (
            np.array(trusted),
            seed,
            device,
        )  # a copy: torch warns of read-only arrays
        folds = max(2, min(settings.folds, len(scaled)))
        rng = np.random.default_rng([seed, 76])
        times = settings.splits or _splits(len(scaled), n_classes)
        kin = Kin.of(families, len(scaled))
        self.splits = [kin.folds(folds, rng) for _ in range(times)]
        self.n_classes = n_classes
        basis: dict[str, Any] = {"landmarks": settings.landmarks, "seed": seed, "device": device, "kin": kin}
        self.kernel = KernelHead(unit, **basis)
        self.linear = KernelHead(unit, width=None, consume=True, **basis)
        self.neighbours, self.similarity = _neighbours(self.kernel, kin)
        give_back()  # what the bases were made of
        some_feature_differs = len(self.kernel.spectrum) > 0
        self.vouched = some_feature_differs and _enough_of_each(self.trusted, n_classes)
        self.trusted_loss = self._trusted_loss() if self.vouched else np.zeros((len(scaled), n_classes), np.float32)

    def release(self) -> None:
        """Give back the bases, which are most of detection's memory. No further labelling can be judged."""
        del self.kernel, self.linear, self.neighbours, self.similarity
        give_back()

    def signals(self, labels: Array, given: Array | None = None) -> Signals:
        """Compute the signals of int64 [N] `labels` that need no influence. See `heads`."""
        return Signals.of_heads(self.heads(labels, given), tuple(s for s in self.table if not s.needs_influence))

    def heads(self, labels: Array, given: Array | None = None) -> HeadOutputs:
        """What the heads say of int64 [N] `labels`. Rows are the audited images, then the trusted ones.

        How labels came about is read from `given`, int64 [N]: the labels before anybody corrected one. None: `labels`.
        """
        audited = labels if given is None else given
        labels = np.concatenate([labels, self.trusted])
        targets = one_hot(labels, self.n_classes)
        kernel, linear = self.kernel.fit(targets), self.linear.fit(targets)
        kernel_scale, linear_scale = (temperature(fit.left_out, labels, self.device) for fit in (kernel, linear))
        stacked = self._stacked_loss(labels, targets, (kernel.ridge, linear.ridge))
        return HeadOutputs(
            labels=labels,
            kernel=kernel,
            linear=linear,
            kernel_scale=kernel_scale,
            linear_scale=linear_scale,
            stacked_loss=stacked,
            trusted_loss=self.trusted_loss,
            neighbours=self.neighbours,
            similarity=self.similarity,
            model=fit_label_model(stacked, audited, self.trusted, seed=self.seed, device=self.device),
            log_probabilities=kernel_scale.log_probabilities(kernel.left_out),
            own_loss=self.own_loss,
        )

    def _trusted_loss(self) -> Array:
        """Loss of label c by a head that only trusted labels have taught. No wrong label can mislead it.

        Fewer labels teach it than teach the others. Where a third of the given labels are wrong it is the best head.
        """
        n, m = self.kernel.n_points, len(self.trusted)
        taught = np.arange(n) >= n - m
        known = one_hot(self.trusted, self.n_classes)
        points = (self.kernel.basis[n - m :] * self.kernel.spectrum.sqrt()).cpu().numpy()
        ridge = KernelHead(points, landmarks=0, seed=0, width=None, device=self.device).fit(known).ridge
        targets = np.concatenate([np.zeros((n - m, self.n_classes), np.float32), known])
        values = self.kernel.fit_on(targets, taught, ridge)
        return -temperature(values[taught], self.trusted, self.device).log_probabilities(values)

    def _stacked_loss(self, labels: Array, targets: Array, ridges: tuple[float, float]) -> Array:
        """Loss of label c by a softmax head on both heads' predictions (stacking; Wolpert, 1992).

        Both levels are cross-fitted: no head that judges an image has seen its label, at either level. A head fitted
        on left-out predictions of all images would have seen it: the predictions for other images hold the image's
        label, and where there are more features than images the head can read it off them. The weight decay is the
        one that is best on the first fold. Ridge regression is calibrated by one scale for all classes. This head
        learns what the predictions of each class are worth, which makes probabilities of many classes sharper.

        Every prediction depends on which images share a fold. Several splits average this out (repeated
        cross-fitting). The average is taken of logarithms, as when the probabilities of several experts are pooled.
        """
        total = np.zeros((len(labels), self.n_classes), dtype=np.float32)
        heads = (self.kernel, self.linear)

        def losses(train: Array, decays: tuple[float, ...]) -> tuple[Array, float]:
            fitted = [head.fit_on(targets, train, ridge) for head, ridge in zip(heads, ridges, strict=True)]
            x = np.hstack(fitted if self.own_loss is None else [*fitted, -self.own_loss])
            return self._fold_loss(Scaling.of(x[train])(x), labels, train, decays)

        folds = [split != fold for split in self.splits for fold in range(int(split.max()) + 1)]
        first, decay = losses(folds[0], WEIGHT_DECAYS)
        rest = each(lambda train: losses(train, (decay,))[0], folds[1:], device=self.device)
        for train, found in zip(folds, (first, *rest), strict=True):
            total[~train] += found
        mean = torch.as_tensor(total / -len(self.splits))
        return np.asarray(-torch.log_softmax(mean, dim=1).numpy())

    def _fold_loss(self, x: Array, labels: Array, train: Array, decays: tuple[float, ...]) -> tuple[Array, float]:
        """Losses [held, C] by a head that saw only `train` [N], and the weight decay that makes them smallest."""
        best: tuple[float, Array, float] | None = None
        head: SoftmaxHead | None = None
        seen, held = x[train], labels[~train]
        for decay in decays:
            head = SoftmaxHead.train(
                seen,
                labels[train],
                self.n_classes,
                decay,
                start=head,
                iterations=STACK_ITERATIONS,
                device=self.device,
            )
            losses = -torch.log_softmax(torch.as_tensor(head.logits(x[~train])), dim=1).numpy()
            mean = float(losses[np.arange(len(held)), held].mean())
            if best is not None and mean > best[0]:
                break
            best = mean, losses, decay
        assert best is not None
        return best[1], best[2]


def _served(signal: Signal, known: Known) -> bool:
    """Whether what the signal rests on is there."""
    if signal.needs_tuned:
        return known.own is not None and known.tuned
    return not signal.needs_own or (known.own is not None and not known.tuned)


def _enough_of_each(trusted: Array, n_classes: int) -> bool:
    return int(np.bincount(trusted, minlength=n_classes).min()) >= TRUSTED_OF_CLASS


def _splits(n: int, n_classes: int) -> int:
    return max(1, min(MOST_SPLITS, SPLIT_IMAGES // n, SPLIT_NUMBERS // (n * n_classes**2)))


def _neighbours(head: KernelHead, kin: Kin) -> tuple[Array, Array]:
    """Indices [N, k] and weights [N, k] of the nearest images along the kernel's leading directions.

    Images of one family are no neighbours.
    """
    family = torch.as_tensor(kin.of_point, device=head.basis.device)
    n = head.n_points
    k = min(NEIGHBOURS, n - 1)
    lead = head.basis[:, -NEIGHBOUR_DIMENSIONS:] * head.spectrum[-NEIGHBOUR_DIMENSIONS:].sqrt()
    lead = torch.nn.functional.normalize(lead, dim=1)
    index, weight = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
    step = max(1, SIMILARITIES // max(n, 1))
    for start in range(0, n, step):
        part = torch.arange(start, min(start + step, n), device=lead.device)
        similarity = lead[part] @ lead.T
        similarity[family[part][:, None] == family[None]] = -2
        near = similarity.topk(k, dim=1)
        index[start : start + step] = near.indices.cpu().numpy()
        weight[start : start + step] = near.values.clamp(min=0).cpu().numpy()
    return index, weight
