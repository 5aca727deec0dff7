"""Texts to features without a network: words and pairs of words by TF-IDF, then a truncated SVD (LSA).

No label is used. Sources: Salton and Buckley (1988) for TF-IDF; Deerwester et al. (1990) for latent semantic analysis.

The dimensions of an SVD differ much in what they say, and detection brings every column to one scale. The weakest
dimensions would then count as much as the strongest. A rotation changes no distance between texts and gives all columns
about the same spread. So the scale leaves the distances as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from auditor.compute.linear import orthonormal
from auditor.data.words import terms
from auditor.system.arrays import Array

NAME, VERSION = "tfidf", 1
"""What `audit.json` calls this encoder. The version rises when its answers change."""

LARGEST_VOCABULARY = 200_000
"""Terms that are kept, the most frequent first."""

MOST_DIMENSIONS = 256

TEXTS_A_DIMENSION = 4
"""A dimension needs this many texts. With fewer texts there are fewer dimensions."""

ITERATIONS = 7
"""Power iterations of the randomised SVD (Halko et al., 2011)."""


@dataclass(frozen=True)
class TextEncoder:
    """TF-IDF and SVD as the audited texts taught them.

    Attributes
    ----------
    vectoriser, reduction
        scikit-learn's `TfidfVectorizer` and `TruncatedSVD`, fitted.
    n_features
        D, the number of dimensions.
    """

    vectoriser: Any
    reduction: Any
    n_features: int

    @classmethod
    def of(cls, texts: Sequence[str], most: int = MOST_DIMENSIONS) -> tuple[TextEncoder, Array]:
        """The encoder of N texts, and their features float32 [N, D]. Equal texts give equal features."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        for fewest in (2, 1):  # a term of one text tells it from nothing; short lists may have no other terms
            vectoriser = TfidfVectorizer(
                analyzer=terms, sublinear_tf=True, min_df=fewest, max_features=LARGEST_VOCABULARY, dtype=np.float32
            )
            try:
                counted = vectoriser.fit_transform(texts)
            except ValueError:  # scikit-learn's word for a vocabulary without terms
                continue
            if counted.shape[1] > 1:
                break
        wanted = width(len(texts), most)
        if counted.shape[1] <= wanted:
            return cls(vectoriser, None, counted.shape[1]), np.asarray(counted.toarray(), np.float32)
        reduction = TruncatedSVD(wanted, n_iter=ITERATIONS, random_state=0)
        values = reduction.fit_transform(counted) @ _rotation(wanted)
        return cls(vectoriser, reduction, wanted), np.asarray(values, np.float32)

    @property
    def n_terms(self) -> int:
        """How many terms tell the texts apart."""
        return len(self.vectoriser.vocabulary_)

    def __call__(self, texts: Sequence[str]) -> Array:
        """Features float32 [n, D] of other texts, by the terms of the audited ones."""
        counted = self.vectoriser.transform(texts)
        if self.reduction is None:
            return np.asarray(counted.toarray(), np.float32)
        return np.asarray(self.reduction.transform(counted) @ _rotation(self.n_features), np.float32)


def _rotation(width: int) -> Array:
    """An orthogonal matrix float64 [width, width], always the same."""
    drawn = np.random.default_rng([0, 0x707]).standard_normal((width, width))
    return np.asarray(orthonormal(torch.as_tensor(drawn.T)).T.numpy())


def width(n: int, most: int = MOST_DIMENSIONS) -> int:
    """The most dimensions that `n` texts get."""
    return max(2, min(most, n // TEXTS_A_DIMENSION))
