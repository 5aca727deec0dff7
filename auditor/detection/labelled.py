"""What detection judges: features, given labels and a trusted reference, checked before any work starts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from auditor.errors import AuditorError, UndecidedError
from auditor.model.scaling import Scaling
from auditor.system.arrays import Array

SMALLEST = 8
"""With fewer images than this, no head can be fitted on one part and tried on another."""


NOT_LOOKED, WRONG = -1, -2
"""Values of `Labelled.found`: nobody looked at the item, or its label is wrong and the right class is not known."""


@dataclass(frozen=True)
class Labelled:
    """Features of a frozen backbone and the labels that people or machines gave.

    Attributes
    ----------
    features
        float32 [N, D] of a backbone that has not seen the item's own label.
    labels
        int64 [N], the labels 0..C-1 as they were when the items were first audited, corrections left aside.
    n_classes
        C.
    reference
        Trusted features [m, D] and labels [m], or None.
    found
        int64 [N], the class that people found for the item; `NOT_LOOKED` (-1) where nobody looked, `WRONG` (-2) where
        the label is wrong and the class is not known. None where nobody looked at anything.
    groups
        int64 [N], the family of each item. Copies of one picture are a family. None where every item stands alone.
    probabilities
        float32 [N, C] of a model that did not learn from the item, above 0; None where none are given.
    reference_probabilities
        float32 [m, C], the same of trusted items; None where there is no reference or are no probabilities.
    tuned
        Whether the probabilities are those of networks that the audit tuned itself. Else they are the user's.
    """

    features: Array
    labels: Array
    n_classes: int
    reference: tuple[Array, Array] | None = None
    found: Array | None = None
    groups: Array | None = None
    probabilities: Array | None = None
    reference_probabilities: Array | None = None
    tuned: bool = False

    def checked(self) -> Labelled:
        """Return the same with the dtypes above. An empty reference becomes None.

        Raises
        ------
        UndecidedError
            When there are fewer than `SMALLEST` images.
        AuditorError
            When shapes do not fit together, a feature is not finite or a label is not in 0..C-1.
        """
        features, labels = _pair(self.features, self.labels, self.n_classes, "the images")
        if len(labels) < SMALLEST:
            raise UndecidedError(
                f"{len(labels)} labelled images are too few to audit", hint=f"give at least {SMALLEST}"
            )
        found, groups = (_column(values, name, len(labels)) for name, values in self._columns())
        if self.too_few_families():
            groups = None  # with so few, none can be held out; detection decides nothing then
        if found is not None and not (found.min() >= WRONG and found.max() < self.n_classes):
            raise AuditorError(
                f"what people found must lie in 0..{self.n_classes - 1}", hint="-1 is not looked at, -2 is wrong"
            )
        if self.probabilities is not None:
            _check_probabilities(self.probabilities, (len(labels), self.n_classes))
        same = replace(self, features=features, labels=labels, found=found, groups=groups)
        reference = self.reference
        if reference is None or not len(reference[1]):
            return replace(same, reference=None, reference_probabilities=None)
        reference = _pair(*reference, self.n_classes, "the reference")
        if reference[0].shape[1] != features.shape[1]:
            raise AuditorError(
                f"the reference has {reference[0].shape[1]} features, the images have {features.shape[1]}",
                hint="take both from the same backbone",
            )
        if self.probabilities is not None:
            self._check_of_reference(len(reference[1]))
        return replace(same, reference=reference)

    def _check_of_reference(self, m: int) -> None:
        """Refuse a reference of `m` items without probabilities where the audited items have some."""
        if self.reference_probabilities is None:
            raise AuditorError("a reference cannot be used where probabilities are given: it has none")
        _check_probabilities(self.reference_probabilities, (m, self.n_classes))

    def too_few_families(self) -> bool:
        """Whether nearly all items are copies of each other: fewer families than a head needs items."""
        return self.groups is not None and len(np.unique(self.groups)) < SMALLEST

    def known_by_heart(self) -> bool:
        """Whether the user's own probabilities agree with every label, as those of a model do that learnt them."""
        if self.probabilities is None or self.tuned:
            return False
        return bool((self.probabilities.argmax(axis=1) == self.labels).all())

    def _columns(self) -> tuple[tuple[str, Array | None], tuple[str, Array | None]]:
        return ("found", self.found), ("groups", self.groups)

    def looks(self) -> Array:
        """Give int64 [N], what people found. It is all `NOT_LOOKED` where `found` is None."""
        if self.found is not None:
            return self.found
        return np.full(len(self.labels), NOT_LOOKED, np.int64)

    def families(self) -> Array:
        """Give int64 [N], the family of each item. Without `groups` every item is one of its own."""
        return np.arange(len(self.labels)) if self.groups is None else self.groups

    def taught(self, scaling: Scaling) -> Array:
        """Give int64 [N], the labels that teach: those that people found, and the given ones of all others.

        A label that is wrong while nobody knows the class gives way to the other class whose mean is nearest. Means
        are those of all items, in features standardised by `scaling`.
        """
        found = self.looks()
        labels = np.where(found >= 0, found, self.labels)
        unknown = np.flatnonzero(found == WRONG)
        if not len(unknown):
            return labels
        means = np.full((self.n_classes, self.features.shape[1]), np.inf)
        for name in range(self.n_classes):
            members = np.flatnonzero((labels == name) & (found != WRONG))
            if len(members):
                means[name] = scaling(self.features, members).mean(axis=0)
        x = scaling(self.features, unknown).astype(np.float64)
        distance = np.stack([np.square(x - mean).sum(axis=1) for mean in means], axis=1)
        distance[np.arange(len(unknown)), self.labels[unknown]] = np.inf
        labels[unknown] = distance.argmin(axis=1)
        return labels

    def select(self, rows: Array) -> Labelled:
        """Keep some of the images, by their int64 row numbers. The reference stays."""
        found, groups = (None if values is None else values[rows] for _, values in self._columns())
        likely = None if self.probabilities is None else self.probabilities[rows]
        few = replace(self, features=self.features[rows], labels=self.labels[rows], probabilities=likely)
        return replace(few, found=found, groups=groups)


def _check_probabilities(values: Array, shape: tuple[int, int]) -> None:
    if values.shape != shape or not (np.isfinite(values).all() and (values > 0).all()):
        raise AuditorError(f"probabilities must be above 0 and of shape {shape}, not {values.shape}")


def _column(values: Array | None, name: str, n: int) -> Array | None:
    """One whole number for each of `n` items, or None."""
    if values is None:
        return None
    values = np.asarray(values)
    if values.shape != (n,) or values.dtype.kind not in "iu":
        raise AuditorError(f"'{name}' must hold one whole number for each of the {n} items")
    return values.astype(np.int64)


def _pair(features: Array, labels: Array, n_classes: int, what: str) -> tuple[Array, Array]:
    features, labels = np.asarray(features, dtype=np.float32), np.asarray(labels, dtype=np.int64)
    if features.ndim != 2 or labels.shape != (len(features),):
        raise AuditorError(
            f"{what} have features of shape {features.shape} and labels of shape {labels.shape}",
            hint="give one row of features and one label for each image",
        )
    # One sum a row is finite exactly where the row is: [N, D] booleans would take a quarter of the features' memory.
    if not np.isfinite(features.sum(axis=1, dtype=np.float64)).all():
        raise AuditorError(f"features of {what} are not finite", hint="check the images and the weights")
    if n_classes < 2 or (len(labels) and not 0 <= labels.min() <= labels.max() < n_classes):
        raise AuditorError(f"labels of {what} must lie in 0..{n_classes - 1}, with at least two classes")
    return features, labels
