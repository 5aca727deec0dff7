"""Rows of a table to features: scikit-learn's transformers for columns, fitted on the audited rows without labels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from auditor.data.table_columns import FEWEST, MOST_LEVELS, Plan, plan
from auditor.data.text_encoder import TextEncoder
from auditor.errors import SourceError
from auditor.system.arrays import Array
from auditor.system.text import display, short

NAME, VERSION = "columns", 1
"""What `audit.json` calls this encoder. The version rises when its answers change."""

FARTHEST = 5.0
"""A number that is farther from the median counts as this far, in inter-quartile ranges."""

MOST_FEATURES, KEPT_FEATURES = 1024, 512
"""With more columns of features than the first, their leading principal components are kept, at most the second."""

TEXT_FEATURES = 32
"""Dimensions of a column of texts."""

NOTHING_LEFT = "no column of {} can serve as a feature"


@dataclass(frozen=True)
class TableEncoder:
    """Columns to features as the audited rows taught them.

    Attributes
    ----------
    plan
        How each column is read.
    numbers, levels, components
        scikit-learn's fitted transformers; None where there is nothing for them to do.
    texts
        The encoder of each column of texts.
    n_features
        D.
    """

    plan: Plan
    numbers: Any
    levels: Any
    components: Any
    texts: Mapping[str, TextEncoder]
    n_features: int

    @classmethod
    def of(cls, cells: pd.DataFrame, name: str, said: Sequence[str] = ()) -> tuple[TableEncoder, Array]:
        """The encoder of N rows, and their features float32 [N, D].

        Parameters
        ----------
        cells
            N rows of text, None where a value is missing. The label is not among the columns.
        name
            What a message calls the table.
        said
            Why columns were left out before.

        Raises
        ------
        SourceError
            No column tells the rows apart.
        """
        found = plan(cells)
        if not found.columns:
            raise SourceError(
                NOTHING_LEFT.format(display(name)) + "".join(f". {note}" for note in (*said, *found.notes)),
                hint="a table needs a column that differs between rows and is no name",
            )
        texts = {
            column.name: TextEncoder.of(_filled(cells, column.name), TEXT_FEATURES)[0] for column in found.named("text")
        }
        unfitted = cls(found, _numbers(), _levels(), None, texts, 0)
        values = unfitted._wide(cells, fit=True)
        components = None
        if values.shape[1] > MOST_FEATURES:
            from sklearn.decomposition import PCA

            kept = min(KEPT_FEATURES, len(values) - 1)
            components = PCA(kept, svd_solver="randomized", random_state=0)
            values = components.fit_transform(values)
        encoder = cls(found, unfitted.numbers, unfitted.levels, components, texts, values.shape[1])
        return encoder, np.asarray(values, np.float32)

    def __call__(self, cells: pd.DataFrame, name: str) -> Array:
        """Features float32 [n, D] of other rows with the same columns.

        Raises
        ------
        SourceError
            A column is missing.
        """
        lacking = [column.name for column in self.plan.columns if column.name not in cells.columns]
        if lacking:
            raise SourceError(
                f"{display(name)} has no column '{short(lacking[0])}', which the audited table has",
                hint="give a reference with the columns of the audited table",
            )
        values = self._wide(cells, fit=False)
        if self.components is not None:
            values = self.components.transform(values)
        return np.asarray(values, np.float32)

    def _wide(self, cells: pd.DataFrame, *, fit: bool) -> Array:
        """float64 [n, D] before the principal components; `fit` teaches the transformers first."""
        measures, levels = self.plan.named("number", "date", "truth"), self.plan.named("level")
        parts = list[Array]()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # levels that only a reference has
            if measures:
                numbers = np.column_stack([column.numbers(cells[column.name].tolist()) for column in measures])
                parts.append(self.numbers.fit_transform(numbers) if fit else self.numbers.transform(numbers))
            if levels:
                texts = np.column_stack([_filled(cells, column.name) for column in levels]).astype(object)
                parts.append(self.levels.fit_transform(texts) if fit else self.levels.transform(texts))
        parts += [encoder(_filled(cells, name)) for name, encoder in self.texts.items()]
        return np.concatenate(parts, axis=1, dtype=np.float64)


def _filled(cells: pd.DataFrame, name: str) -> list[str]:
    """A column with '' for a missing value."""
    return ["" if value is None else str(value).strip() for value in cells[name].tolist()]


def _numbers() -> Any:
    """Numbers at their median and inter-quartile range, and a column that says where one was missing."""
    from sklearn.impute import MissingIndicator, SimpleImputer
    from sklearn.pipeline import FeatureUnion, make_pipeline
    from sklearn.preprocessing import FunctionTransformer, RobustScaler

    near = FunctionTransformer(np.clip, kw_args={"a_min": -FARTHEST, "a_max": FARTHEST})
    return FeatureUnion(
        [
            ("value", make_pipeline(SimpleImputer(strategy="median"), RobustScaler(), near)),
            ("missing", MissingIndicator(features="missing-only", error_on_new=False)),
        ]
    )


def _levels() -> Any:
    """A column for each frequent level, and one for all others of its column."""
    from sklearn.preprocessing import OneHotEncoder

    return OneHotEncoder(
        min_frequency=FEWEST, max_categories=MOST_LEVELS, handle_unknown="infrequent_if_exist", sparse_output=False
    )
