"""The signals: what speaks against a label. Names, order and meanings stand here in one table.

A signal is a matrix [N, C]. Entry (i, c) is what it would say of image i if image i alone carried label c and all
other labels stayed as given. Column `labels[i]` is the signal of the given label. Any other column is the signal of a
label planted on image i alone. The heads are linear smoothers, so all columns cost no more than the fit.

To add a signal, write a function from `HeadOutputs` to its matrix, make a `Signal` of it and register it: by
`auditor.detection.register_signal`, or by naming it in the entry-point group `auditor.signals` of your package. It
joins the suspicion behind the signals of this table. Its weight is fitted on planted labels as theirs is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from auditor.detection.influence import Influence
from auditor.detection.kernel_head import Fit, Temperature
from auditor.detection.label_model import LabelModel
from auditor.errors import AuditorError
from auditor.system.arrays import Array, Floats


@dataclass(frozen=True)
class HeadOutputs:
    """What the heads say of one labelling. Every signal is computed from this.

    Rows are the N audited images, then the m trusted ones.

    Attributes
    ----------
    labels
        int64 [N + m], the labelling.
    kernel, linear
        Ridge regression in the kernel's basis and on the features themselves.
    kernel_scale, linear_scale
        They turn the values of these heads into probabilities.
    stacked_loss
        float32 [N + m, C], loss of each label by a softmax head on both heads.
    trusted_loss
        float32 [N + m, C], loss of each label by a head that only trusted labels have taught. 0 where there are too
        few trusted images of a class.
    neighbours, similarity
        int64 and float32 [N + m, k], the most similar images and how similar they are, 0 to 1.
    model
        The label model. It explains how the given labels came about.
    log_probabilities
        float32 [N + m, C], of the kernel head without the image's own label.
    own_loss
        float32 [N + m, C], loss of each label by the user's own model, or by networks that were tuned on other folds;
        None where there are no probabilities.
    influence
        float32 [N + m, C], what average influence would be under each label (see `Influence`); None where it is not
        measured.
    """

    labels: Array
    kernel: Fit
    linear: Fit
    kernel_scale: Temperature
    linear_scale: Temperature
    stacked_loss: Array
    trusted_loss: Array
    neighbours: Array
    similarity: Array
    model: LabelModel
    log_probabilities: Array
    own_loss: Array | None = None
    influence: Array | None = None


@dataclass(frozen=True)
class Signal:
    """One signal that the suspicion may combine.

    Attributes
    ----------
    name
        Its name in `audit.json`. No two signals share one.
    meaning
        One sentence for the reader of a report.
    values
        Gives float32 [N + m, C] from what the heads say. A higher value speaks louder against the label.
    needs_trusted
        Whether it says nothing without enough trusted images of every class. It is then left out of the result.
    needs_own
        Whether it rests on probabilities of the user's own model. It is not computed without them.
    needs_tuned
        Whether it rests on probabilities of networks that the audit tuned. It is not computed without them.
    needs_influence
        Whether it rests on influence. It is not computed where none is measured.
    helps
        Whether it is reported with the other sign: a high value then speaks for the label.
    """

    name: str
    meaning: str
    values: Callable[[HeadOutputs], Array]
    needs_trusted: bool = False
    needs_own: bool = False
    needs_tuned: bool = False
    needs_influence: bool = False
    helps: bool = False


@dataclass(frozen=True)
class InfluenceSignal:
    """One figure of influence that is reported beside the signals. It has no weight in the suspicion.

    These are known for the given label alone. As signals they made the list no better (`docs/tried.md`).

    Attributes
    ----------
    name, meaning
        As in `Signal`.
    values
        Gives float64 [N] from the measured influence.
    by_class
        Whether it rests on influence by class, which is not measured where there are many classes.
    """

    name: str
    meaning: str
    values: Callable[[Influence], Floats]
    by_class: bool = False


def _margin(loss: Array) -> Array:
    """By how much the best other class beats c, in nats, from float32 [n, C] losses."""
    log_p = -loss
    order = np.sort(log_p, axis=1)
    best, second = order[:, -1:], order[:, -2:-1]
    return np.asarray(np.where(log_p >= best, second, best) - log_p)


def _gap(loss: Array) -> Array:
    """Probability of the best other class minus that of c, -1 to 1, from float32 [n, C] losses."""
    p = np.exp(-loss)
    order = np.sort(p, axis=1)
    best, second = order[:, -1:], order[:, -2:-1]
    return np.asarray(np.where(p >= best, second, best) - p)


def _own_loss(told: HeadOutputs) -> Array:
    """Loss of label c by the user's own model."""
    assert told.own_loss is not None
    return told.own_loss


def _harm(told: HeadOutputs) -> Array:
    """Negative average influence of label c."""
    assert told.influence is not None
    return -told.influence


def _in_fold_loss(told: HeadOutputs) -> Array:
    """Loss of label c by the linear head that was fitted with c on this image."""
    fit = told.linear
    out = np.empty_like(fit.left_out)
    for c in range(out.shape[1]):
        fitted = fit.left_out * (1 - fit.leverage[:, None])
        fitted[:, c] += fit.leverage
        out[:, c] = -told.linear_scale.log_probabilities(fitted)[:, c]
    return out


def _disagreement(told: HeadOutputs) -> Array:
    """Weighted share of the nearest neighbours that carry another label than c."""
    votes = np.zeros(told.stacked_loss.shape, dtype=np.float32)
    rows = np.arange(len(votes))
    for column in range(told.neighbours.shape[1]):
        np.add.at(votes, (rows, told.labels[told.neighbours[:, column]]), told.similarity[:, column])
    total = votes.sum(axis=1, keepdims=True)
    return np.asarray(1 - votes / np.where(total > 0, total, 1), dtype=np.float32)


SIGNALS: tuple[Signal, ...] = (
    Signal(
        "out_of_fold_loss",
        "How improbable the label is to a head that never saw it.",
        lambda told: -told.log_probabilities,
    ),
    Signal(
        "margin",
        "By how much the heads that never saw the label prefer another one.",
        lambda told: _margin(told.stacked_loss),
    ),
    Signal("in_fold_loss", "How improbable the label stays after training on it.", _in_fold_loss),
    Signal(
        "stacked_loss",
        "How improbable the label is to several heads together that never saw it.",
        lambda told: told.stacked_loss,
    ),
    Signal("neighbour_disagreement", "The share of the most similar images that carry another label.", _disagreement),
    Signal(
        "error_odds",
        "The log odds that the label is wrong, by the model that explains all given labels best.",
        lambda told: told.model.log_odds(),
    ),
    Signal(
        "average_influence",
        "How much the label would help the other labels, by a head and a reference that have not seen it. A negative "
        "value does harm.",
        _harm,
        needs_influence=True,
        helps=True,
    ),
    Signal(
        "trusted_loss",
        "How improbable the label is to a head trained on trusted labels only.",
        lambda told: told.trusted_loss,
        needs_trusted=True,
    ),
    Signal("own_loss", "How improbable the label is to your own model.", _own_loss, needs_own=True),
    Signal(
        "own_margin",
        "By how much your own model prefers another label.",
        lambda told: _margin(_own_loss(told)),
        needs_own=True,
    ),
    Signal(
        "own_gap",
        "By how much more probable another label is to your own model.",
        lambda told: _gap(_own_loss(told)),
        needs_own=True,
    ),
    Signal(
        "tuned_loss",
        "How improbable the label is to a network that was tuned on other images.",
        _own_loss,
        needs_tuned=True,
    ),
    Signal(
        "tuned_margin",
        "By how much a network that was tuned on other images prefers another label.",
        lambda told: _margin(_own_loss(told)),
        needs_tuned=True,
    ),
)
"""This package's signals, in the order in which the suspicion combines them."""

INFLUENCE_SIGNALS = (
    InfluenceSignal(
        "classwise_average_influence",
        "The same on reference images of the given label only.",
        lambda found: found.classwise,
        by_class=True,
    ),
    InfluenceSignal(
        "head_self_influence",
        "How much the label supports itself: high where nothing else does.",
        lambda found: found.own,
    ),
    InfluenceSignal(
        "head_in_fold_loss",
        "How improbable the label stays after training, to the head that influence is measured with.",
        lambda found: found.loss,
    ),
)
"""What is reported of influence, behind all signals."""


@dataclass(frozen=True)
class Signals:
    """All signals of one labelling.

    Attributes
    ----------
    values
        Name -> float32 [N, C], in the order in which they are combined. Higher speaks louder against label c.
    log_probabilities
        float32 [N, C], of the kernel head without the image's own label.
    labels
        int64 [N], the labelling.
    model
        The label model. It explains how the given labels came about.
    """

    values: dict[str, Array]
    log_probabilities: Array
    labels: Array
    model: LabelModel

    @classmethod
    def of_heads(cls, told: HeadOutputs, table: tuple[Signal, ...]) -> Signals:
        """Compute the signals of `table` from what the heads say.

        Raises
        ------
        AuditorError
            When a signal from outside fails, gives an array of another shape or numbers that are not finite.
        """
        values = {signal.name: signal.values(told) if signal in SIGNALS else _theirs(signal, told) for signal in table}
        return cls(values, told.log_probabilities, told.labels, told.model)

    def of(self, labels: Array) -> Floats:
        """Look up each image's signals under int64 [N] `labels`: float64 [N, S], columns in the order of `values`."""
        rows = np.arange(len(labels))
        return np.asarray(np.stack([values[rows, labels] for values in self.values.values()], axis=1), dtype=np.float64)

    def select(self, rows: Array) -> Signals:
        """Keep some of the images, by their int64 row numbers."""
        return Signals(
            {k: v[rows] for k, v in self.values.items()},
            self.log_probabilities[rows],
            self.labels[rows],
            self.model.select(rows),
        )


def _theirs(signal: Signal, told: HeadOutputs) -> Array:
    """Values of a signal from outside, checked."""
    name, shape = signal.name, told.stacked_loss.shape
    try:
        values = np.asarray(signal.values(told), dtype=np.float32)
    except Exception as error:  # the code of another package may raise anything, and the user needs its name
        raise AuditorError(
            f"the signal '{name}' failed: {type(error).__name__}: {error}",
            hint="repair the function that gives its values, or remove its package",
        ) from error
    if values.shape != shape:
        raise AuditorError(
            f"the signal '{name}' has shape {values.shape}, not {shape}",
            hint="give one row an image, trusted ones last, and one column a class",
        )
    if not np.isfinite(values).all():
        raise AuditorError(f"the signal '{name}' holds values that are not finite", hint="give a number everywhere")
    return values
