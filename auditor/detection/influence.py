"""Influence that every image would have under every label.

The head is conditioned for detection, not for accuracy. Its features are standardised and its weight decay equals the
damping. The matrix that is inverted is therefore the Hessian of the very objective that was minimised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from auditor.compute.linear import right_vectors
from auditor.compute.side_by_side import each
from auditor.detection.kin import Kin
from auditor.influence import HeadProblem
from auditor.influence.closed_form import ClosedForm
from auditor.influence.weighing import as_shares, pulls, robust_weights
from auditor.model.scaling import Scaling, even_rows
from auditor.model.softmax_head import SoftmaxHead
from auditor.model.whitened_head import Whitening, spaced, train_along
from auditor.system.arrays import Array, Floats

LOSS_CAP = 60.0
"""No loss is reported higher than this."""

CLASSWISE_LIMIT = 2**24
"""Up to this number of classes times the head's parameters, influence is measured by class of the reference: 136
classes at 896 features. It takes one solve a class, with this many numbers in all right-hand sides together. The signal
is only reported, and at 300 classes it took most of an audit's time."""

TUNED = 5000
"""A damping is tried on as many folds as hold this many entries [image, class], two at least."""

RESIDENT = 2**25
"""Up to this many numbers, standardised features are kept as a copy. More are standardised when they are needed."""

FEWEST_FOLDS, MOST_FOLDS, FOLDED = 5, 10, 40_000
"""Folds are this number over the entries [image, class], within limits. With few images a fold is much of what a head
could learn from, and more folds are cheap: ten found 0.006 more on thousand images of two classes (`docs/tried.md`)."""


@dataclass(frozen=True)
class Influence:
    """Influence of the labels of N + m images, trusted ones last.

    Attributes
    ----------
    average
        float32 [N + m, C], what each image's average influence would be under label c: on a weighted reference,
        relative to the size of that label's own gradient. Neither the head nor the reference has seen the image.
    classwise
        float64 [N + m], the same of the label it carries, over reference points of that label only; NaN beyond
        `CLASSWISE_LIMIT`.
    own
        float64 [N + m], self-influence of the label it carries, by the heads that were trained on it.
    loss
        float64 [N + m], loss of that label by the same heads, at most `LOSS_CAP`.
    """

    average: Array
    classwise: Floats
    own: Floats
    loss: Floats


def fold_count(n: int, n_classes: int) -> int:
    """Give the number of folds for `n` images of `n_classes`."""
    return int(np.clip(FOLDED // max(n * n_classes, 1), FEWEST_FOLDS, MOST_FOLDS))


def folds_of(families: Array | None, n: int, folds: int, seed: int) -> Array:
    """Draw int64 [N], the fold of each of `n` images, of two `folds` at least.

    A family (int64 [k] of the first k images; None where each image stands alone) lies in one fold: no copy of an image
    speaks for its label.
    """
    return Kin.of(families, n).folds(max(2, min(folds, n)), np.random.default_rng([seed, 73]))


@dataclass(frozen=True)
class Points:
    """Features of the judged images, as a head sees them: standardised, with rows of one length.

    Attributes
    ----------
    audited
        float32 [k, D]. They are standardised whenever some are needed, so that no second copy of all is kept.
    rows
        int64 [N], those of them that are judged; None for all.
    trusted
        float32 [m, D], which come behind them; None without any.
    scaling
        Standardises both.
    """

    audited: Array
    rows: Array | None
    trusted: Array | None
    scaling: Scaling

    @property
    def n_audited(self) -> int:
        """N, the number of audited images."""
        return len(self.audited) if self.rows is None else len(self.rows)

    def __call__(self, chosen: Array) -> Array:
        """float32 [n, D] of the images `chosen`, int64 [n] in rising order: 0..N-1 audited, then trusted ones."""
        ours = chosen[chosen < self.n_audited]
        found = self.scaling(self.audited, ours if self.rows is None else self.rows[ours])
        if self.trusted is not None:
            found = np.concatenate([found, self.scaling(self.trusted, chosen[len(ours) :] - self.n_audited)])
        return even_rows(found)


class InfluenceStudy:
    """Measures what influence images would have under any label, while all other labels stay as they are.

    The images are split into folds. Each fold is left out once: a head is trained on the others, which are the
    reference as well. The images that were left out are judged: none has taught the head, or speaks in the reference.
    Half a fold as a reference was tried first, and is far too small (`docs/tried.md`). Trusted images are images like
    all others here.

    The reference knows that it is noisy (`auditor.influence.weighing`): each of its images counts by a power of the
    probability of its label. And influence is relative to the size of the label's own gradient.

    Parameters
    ----------
    points
        Features of N + m images.
    n_classes
        C.
    fold
        int64 [N + m], the fold of each image, from 0 on, at least two of them (see `folds_of`).
    device
        Where heads are trained and systems are solved.
    """

    def __init__(self, points: Points, n_classes: int, *, fold: Array, device: str = "cpu") -> None:
        n = len(fold)
        self.points, self.n_classes, self.device = points, n_classes, device
        whole = n * points.audited.shape[1] <= RESIDENT
        self._seen = _narrow(points(np.arange(n))) if whole else None
        self._whitening = Whitening.of(self._points(spaced(n)), device)
        self.splits: list[tuple[Array, Array]] = [
            (np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(int(fold.max()) + 1)
        ]
        # What engines keep of each split's features, for any head.
        self._shared: list[dict[Any, Any]] = [{} for _ in self.splits]

    @property
    def by_class(self) -> bool:
        """Whether influence is also measured by class of the reference."""
        return self.n_classes**2 * (self.points.audited.shape[1] + 1) <= CLASSWISE_LIMIT

    def _points(self, chosen: Array) -> Array:
        """float32 [n, D] of the images `chosen`, as a head sees them."""
        return self.points(chosen) if self._seen is None else self._seen[chosen]

    def what_if(self, labels: Array, damping: float, start: Sequence[SoftmaxHead] = ()) -> Array:
        """Average influence float32 [N + m, C] that each image would have under every label.

        Parameters
        ----------
        labels
            int64 [N + m], what all other images carry.
        damping
            Damping, and weight decay too.
        start
            Heads to start from, of the first splits. They must have learnt from these labels.
        """
        found = np.empty((len(labels), self.n_classes), np.float32)

        def judge(split: int) -> None:
            held = self.splits[split][1]
            found[held] = self._averages(*self._fitted(labels, split, damping, start), held)

        each(judge, range(len(self.splits)), device=self.device)
        return found

    def measure(self, labels: Array, damping: float, start: Sequence[SoftmaxHead] = ()) -> Influence:
        """The same, and all that is reported of the labels that the images carry."""
        average = np.empty((len(labels), self.n_classes), np.float32)
        classwise, times = np.full(len(labels), np.nan), np.zeros(len(labels))
        own, loss = np.zeros(len(labels)), np.zeros(len(labels))

        def judge(split: int) -> tuple[Floats, Floats]:
            held = self.splits[split][1]
            head, engine = self._fitted(labels, split, damping, start)
            average[held] = self._averages(head, engine, held)
            if self.by_class:
                classwise[held] = self._by_class(head, engine, held, labels[held])
            p = engine.head.probabilities.gather(1, engine.head.labels[:, None])[:, 0].double().cpu().numpy()
            losses = np.minimum(-np.log(np.maximum(p, np.exp(-LOSS_CAP))), LOSS_CAP)
            return losses, np.asarray(engine.self_influence())

        found = each(judge, range(len(self.splits)), device=self.device)
        for (train, _), (losses, influences) in zip(self.splits, found, strict=True):
            loss[train] += losses
            own[train] += influences
            times[train] += 1
        return Influence(average, classwise, own / np.maximum(times, 1), loss / np.maximum(times, 1))

    def tried(self, labels: Array, damping: float, start: Sequence[SoftmaxHead]) -> tuple[Tried, list[SoftmaxHead]]:
        """Average influence under every label of the images of the first folds (see `TUNED`).

        Parameters
        ----------
        labels, damping, start
            As in `what_if`.

        Returns
        -------
        Rows and their influence, and the heads.
        """
        sizes = np.cumsum([len(held) for _, held in self.splits]) * self.n_classes
        n_splits = min(len(sizes), max(2, 1 + int(np.searchsorted(sizes, TUNED))))

        def judge(split: int) -> tuple[Floats, SoftmaxHead]:
            head, engine = self._fitted(labels, split, damping, start)
            return self._averages(head, engine, self.splits[split][1]), head

        found = each(judge, range(n_splits), device=self.device)
        rows = np.concatenate([held for _, held in self.splits[:n_splits]])
        return Tried(rows, np.concatenate([average for average, _ in found])), [head for _, head in found]

    def _fitted(
        self, labels: Array, split: int, damping: float, start: Sequence[SoftmaxHead]
    ) -> tuple[SoftmaxHead, ClosedForm]:
        """The head of a split and its engine."""
        first = start[split] if split < len(start) else None
        train, _ = self.splits[split]
        seen, taught = self._points(train), labels[train]
        head = train_along(self._whitening, (seen, taught), self.n_classes, damping, start=first, device=self.device)
        problem = HeadProblem(seen, taught, head.weight, head.bias, self._shared[split])
        return head, ClosedForm(problem, damping, device=self.device, dtype=torch.float32)

    def _averages(self, head: SoftmaxHead, engine: ClosedForm, held: Array) -> Floats:
        """[n, C], average influence of the images `held` on those that the head was trained on."""
        seen, x = engine.problem, self._points(held)
        z = engine.directions(seen.features, seen.labels, _shares(engine))
        return np.asarray(engine.head.what_if(z, x)[0] / pulls(head.probabilities(x)))

    def _by_class(self, head: SoftmaxHead, engine: ClosedForm, held: Array, labels: Array) -> Floats:
        """[n], influence of `held` under int64 [n] `labels` on the reference points of that label alone."""
        seen, x = engine.problem, self._points(held)
        members = _shares(engine) * (np.asarray(seen.labels) == np.arange(self.n_classes)[:, None])
        of_class = members.sum(axis=1, keepdims=True)
        z = engine.directions(seen.features, seen.labels, members / np.where(of_class > 0, of_class, 1))
        found, sizes = np.zeros(len(x)), pulls(head.probabilities(x))
        for c in np.unique(labels):
            mine = np.flatnonzero(labels == c)
            found[mine] = engine.head.what_if(z[c : c + 1], x[mine])[0, :, c] / sizes[mine, c]
        return found


def _narrow(seen: Array) -> Array:
    """The features float32 [n, D] in a basis of what the images span, [n, r], where they are fewer than the features.

    Heads with a weight decay, and influence, do not change when features are turned. Fewer columns are cheaper.
    """
    if len(seen) >= seen.shape[1]:
        return seen
    turned = torch.as_tensor(seen, dtype=torch.float64)
    return np.asarray((turned @ right_vectors(turned)).float().numpy())


def _shares(engine: ClosedForm) -> Floats:
    """[1, n], what each training point of a head says as a reference point."""
    labels = np.asarray(engine.problem.labels)
    return as_shares(robust_weights(engine.head.probabilities.cpu().numpy(), labels), len(labels))


@dataclass(frozen=True)
class Tried:
    """Average influence float64 [n, C] under every label, of the images `rows` int64 [n]."""

    rows: Array
    average: Floats
