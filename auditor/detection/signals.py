"""What speaks against a label, for every image and every label it could carry.

A signal is a matrix [N, C]: entry (i, c) is what it would say of image i if i alone carried label c, all other labels
as given. The heads are linear smoothers, so this costs nothing beyond the fit on the given labels; column `labels[i]`
is the signal of the given label and any other column that of a label planted on image i alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from auditor.detection.kernel_head import Fit, KernelHead, Temperature, one_hot, temperature
from auditor.detection.label_model import LabelModel, fit_label_model
from auditor.model.scaling import Scaling, unit_rows
from auditor.model.softmax_head import SoftmaxHead
from auditor.system.arrays import Array, Floats
from auditor.system.memory import give_back

SIGNALS = (
    "out_of_fold_loss",
    "margin",
    "in_fold_loss",
    "stacked_loss",
    "neighbour_disagreement",
    "error_odds",
    "trusted_loss",
)
"""Signals the suspicion combines, in this order. The last is 0 without trusted images of every class."""

WEIGHT_DECAYS = (0.03, 0.01, 0.003, 0.001)
"""Weight decays tried for the stacked head, strongest first."""

STACK_ITERATIONS = 30

MOST_SPLITS, SPLIT_IMAGES, SPLIT_NUMBERS = 6, 12_000, 2_400_000
"""The stacked head's folds are drawn anew up to six times, as long as no more than so many images are predicted and
no more than so many images times squared classes: with few images it matters most which share a fold."""

TRUSTED_OF_CLASS = 5
"""A class with fewer trusted images is one that a head taught by them alone may not know."""

NEIGHBOURS = 60

NEIGHBOUR_DIMENSIONS = 64

SIMILARITIES = 2**22
"""Pairs of images compared at a time: 16 MB, and faster so than by 64."""


@dataclass(frozen=True)
class Signals:
    """Signals of one labelling.

    Attributes
    ----------
    values
        name -> float32 [N, C], higher speaks louder against label c.
    log_probabilities
        float32 [N, C], of the kernel head without the image's own label.
    labels
        int64 [N], the labelling.
    model
        What explains the labelling best.
    """

    values: dict[str, Array]
    log_probabilities: Array
    labels: Array
    model: LabelModel

    def of(self, labels: Array) -> Floats:
        """float64 [N, S]: each image's signals under `labels` [N], columns in the order of `SIGNALS`."""
        rows = np.arange(len(labels))
        return np.asarray(np.stack([self.values[name][rows, labels] for name in SIGNALS], axis=1), dtype=np.float64)

    def select(self, rows: Array) -> Signals:
        """The same for some of the images."""
        return Signals(
            {k: v[rows] for k, v in self.values.items()},
            self.log_probabilities[rows],
            self.labels[rows],
            self.model.select(rows),
        )


class Views:
    """All that can be computed of the features before any label: bases and neighbours.

    Parameters
    ----------
    scaled
        float32 [N, D], standardised features, trusted images last where there are any.
    trusted
        int64 [m], the trusted labels of the last images; m may be 0.
    landmarks
        Rank of the kernel's basis.
    folds, splits
        The stacked head is cross-fitted on so many folds, drawn anew so many times (None goes by N).
    device
        Where bases lie and heads are trained.
    consume
        Take the memory of `scaled`, which is lost.

    Attributes
    ----------
    vouched
        Whether trusted images of every class are enough to teach a head of their own.
    """

    def __init__(
        self,
        scaled: Array,
        n_classes: int,
        *,
        trusted: Array,
        landmarks: int,
        seed: int,
        folds: int = 3,
        splits: int | None = None,
        device: str = "cpu",
        consume: bool = False,
    ) -> None:
        unit = unit_rows(scaled, consume=consume)
        self.trusted, self.seed, self.device = np.array(trusted), seed, device  # torch warns of read-only arrays
        folds = max(2, min(folds, len(scaled)))
        rng = np.random.default_rng([seed, 76])
        self.splits = [rng.permutation(len(scaled)) % folds for _ in range(splits or _splits(len(scaled), n_classes))]
        self.n_classes = n_classes
        self.kernel = KernelHead(unit, landmarks=landmarks, seed=seed, device=device)
        self.linear = KernelHead(unit, landmarks=landmarks, seed=seed, width=None, device=device, consume=True)
        self.neighbours, self.similarity = _neighbours(self.kernel)
        give_back()  # what bases were made of
        told_apart = len(self.kernel.spectrum) > 0  # by any feature
        self.vouched = told_apart and _enough_of_each(self.trusted, n_classes)
        self.trusted_loss = self._trusted_loss() if self.vouched else np.zeros((len(scaled), n_classes), np.float32)

    def release(self) -> None:
        """Give back the bases, most of detection's memory; no further labelling can be looked at."""
        del self.kernel, self.linear, self.neighbours, self.similarity
        give_back()

    def signals(self, labels: Array) -> Signals:
        """Signals of int64 [N - m] `labels` of the audited images, and of the trusted ones behind them."""
        audited, labels = labels, np.concatenate([labels, self.trusted])
        targets = one_hot(labels, self.n_classes)
        fit, linear = self.kernel.fit(targets), self.linear.fit(targets)
        curve, straight = (temperature(head.left_out, labels, self.device) for head in (fit, linear))
        log_p = curve.log_probabilities(fit.left_out)
        stacked = self._stacked_loss(labels, targets, (fit.ridge, linear.ridge))
        model = fit_label_model(stacked, audited, self.trusted, seed=self.seed, device=self.device)
        values = {
            "out_of_fold_loss": -log_p,
            "margin": _margin(-stacked),
            "in_fold_loss": _in_fold_loss(linear, straight),
            "stacked_loss": stacked,
            "neighbour_disagreement": self._disagreement(labels),
            "error_odds": model.log_odds(),
            "trusted_loss": self.trusted_loss,
        }
        return Signals(values, log_p, labels, model)

    def _trusted_loss(self) -> Array:
        """Loss of label c by a head that only trusted labels have taught: no wrong label can mislead it.

        Fewer labels teach it than the others; where a third of the given ones are wrong it is the best of all.
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

        Cross-fitted through both levels: nothing that judges an image has seen its label, at either. A head fitted on
        left-out predictions of all images would know: others' predictions hold the image's label, and where features
        outnumber images it is read off them. The weight decay is the first fold's best. Where ridge regression is
        calibrated by one scale for all classes, this learns what each class's predictions are worth, which sharpens
        many-class probabilities.

        Which images share a fold moves every prediction; over several splits that averages out (repeated
        cross-fitting), in the logarithm, as probabilities of experts are pooled.
        """
        total = np.zeros((len(labels), self.n_classes), dtype=np.float32)
        decays: tuple[float, ...] = WEIGHT_DECAYS
        heads = (self.kernel, self.linear)
        for train in (split != fold for split in self.splits for fold in range(int(split.max()) + 1)):
            x = np.hstack([head.fit_on(targets, train, ridge) for head, ridge in zip(heads, ridges, strict=True)])
            losses, decay = self._fold_loss(Scaling.of(x[train])(x), labels, train, decays)
            total[~train] += losses
            decays = (decay,)
        mean = torch.as_tensor(total / -len(self.splits))
        return np.asarray(-torch.log_softmax(mean, dim=1).numpy())

    def _fold_loss(self, x: Array, labels: Array, train: Array, decays: tuple[float, ...]) -> tuple[Array, float]:
        """[held, C] losses of a head that saw only `train` [N], and the weight decay under which they are least."""
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

    def _disagreement(self, labels: Array) -> Array:
        """Weighted share of the nearest neighbours that carry another label than c."""
        votes = np.zeros((len(labels), self.n_classes), dtype=np.float32)
        rows = np.arange(len(labels))
        for column in range(self.neighbours.shape[1]):
            np.add.at(votes, (rows, labels[self.neighbours[:, column]]), self.similarity[:, column])
        total = votes.sum(axis=1, keepdims=True)
        return np.asarray(1 - votes / np.where(total > 0, total, 1), dtype=np.float32)


def _enough_of_each(trusted: Array, n_classes: int) -> bool:
    return int(np.bincount(trusted, minlength=n_classes).min()) >= TRUSTED_OF_CLASS


def _splits(n: int, n_classes: int) -> int:
    return max(1, min(MOST_SPLITS, SPLIT_IMAGES // n, SPLIT_NUMBERS // (n * n_classes**2)))


def _margin(log_p: Array) -> Array:
    """By how much the best other class beats c, in nats, from [N, C] log probabilities."""
    order = np.sort(log_p, axis=1)
    best, second = order[:, -1:], order[:, -2:-1]
    return np.asarray(np.where(log_p >= best, second, best) - log_p)


def _in_fold_loss(fit: Fit, curve: Temperature) -> Array:
    """Loss of label c by the head that was fitted with c on this image."""
    out = np.empty_like(fit.left_out)
    for c in range(out.shape[1]):
        fitted = fit.left_out * (1 - fit.leverage[:, None])
        fitted[:, c] += fit.leverage
        out[:, c] = -curve.log_probabilities(fitted)[:, c]
    return out


def _neighbours(head: KernelHead) -> tuple[Array, Array]:
    """Indices [N, k] and weights [N, k] of the nearest images along the kernel's leading directions."""
    n = head.n_points
    k = min(NEIGHBOURS, n - 1)
    lead = head.basis[:, -NEIGHBOUR_DIMENSIONS:] * head.spectrum[-NEIGHBOUR_DIMENSIONS:].sqrt()
    lead = torch.nn.functional.normalize(lead, dim=1)
    index, weight = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
    step = max(1, SIMILARITIES // max(n, 1))
    for start in range(0, n, step):
        part = torch.arange(start, min(start + step, n), device=lead.device)
        similarity = lead[part] @ lead.T
        similarity[part - start, part] = -2
        near = similarity.topk(k, dim=1)
        index[start : start + step] = near.indices.cpu().numpy()
        weight[start : start + step] = near.values.clamp(min=0).cpu().numpy()
    return index, weight
