"""What a program gives for an audit, as a table: a path or an object, with features, labels and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditor.config import AuditSettings
from auditor.data.reopening import Opening
from auditor.errors import ConfigError, SourceError
from auditor.sources.base import ImageTable
from auditor.sources.data_sets import (
    has_images,
    hugging_face_frame,
    hugging_face_table,
    is_hugging_face,
    is_torch,
    torch_table,
)
from auditor.sources.objects import Objects, block_from, label_texts, numbers_beside, refuse, table_of_numbers
from auditor.system.arrays import Array

FOLDS = 5
"""Parts of the data set, each judged by an estimator that learnt from the others."""


def table_from(source: object, given: Objects | None, settings: AuditSettings) -> str | Path | ImageTable:
    """The data set that a program asks to be audited.

    Parameters
    ----------
    source
        A path, a table, a data frame, a data set of torch or Hugging Face; None where the items are known by the
        features or probabilities that are given.

    Returns
    -------
    str, Path or ImageTable
        The path as it came where nothing else is given.

    Raises
    ------
    SourceError, ConfigError
        The objects are of the wrong kind, or do not fit together.
    """
    given = given or Objects()
    if given.probabilities is not None and hasattr(given.probabilities, "predict_proba"):
        given = replace(given, probabilities=out_of_fold(given, settings.seed))
    if source is None:
        if not given.numbers:
            raise SourceError(
                "there is nothing to audit", hint='audit("photos/"), or audit(features=X, labels=y) with arrays'
            )
        return numbers_beside(table_of_numbers(given), given, settings.classes)
    if isinstance(source, str | Path):
        _refuse_beside("a path", given, ("labels", "items", "groups"))
        if not given.numbers:
            return source
        opening = replace(Opening.of(settings.as_json()), features="", probabilities="")
        return numbers_beside(opening.open(str(source), by_name=True), given, settings.classes)
    table = _table(source, given, settings)
    return numbers_beside(table, given, settings.classes) if given.numbers else table


def _table(source: object, given: Objects, settings: AuditSettings) -> ImageTable:
    """The table of an object."""
    if isinstance(source, ImageTable):
        _refuse_beside("a table", given, ("labels", "items", "groups"))
        return source
    if is_hugging_face(source):
        _refuse_beside("a Hugging Face data set", given, ("labels", "items"))
        if has_images(source):
            return hugging_face_table(source, settings.label, given.groups)
        source = hugging_face_frame(source, settings.label)
    if isinstance(source, pd.DataFrame):
        frame = _with_columns(source, given, settings.label or "label")
        return Opening.of(settings.as_json()).frame(frame, by_name=given.numbers)
    names = {kind.__name__ for kind in type(source).__mro__}
    if names & {"Module", "ndarray", "Tensor", "Series", "Index"} or not is_torch(source):
        raise refuse(source)
    return torch_table(source, given.labels, given.items, given.groups)


def _refuse_beside(what: str, given: Objects, names: Sequence[str]) -> None:
    """Refuse what a source brings itself. It would not be used, and nobody would know."""
    for name in names:
        if getattr(given, name) is not None:
            raise SourceError(
                f"{what} brings its own {name}, so {name}= would not be used",
                hint=f"leave {name}= out, or put it into the data set",
            )


def _with_columns(frame: pd.DataFrame, given: Objects, label: str) -> pd.DataFrame:
    """The frame with labels, names and groups that are given beside it, as columns.

    Raises
    ------
    SourceError
        It has such a column, or another number of rows.
    """
    for name, values in ((label, given.labels), ("id", given.items), ("group", given.groups)):
        if values is None:
            continue
        if name in frame:
            raise SourceError(f"the DataFrame has a column '{name}' of its own", hint="leave one of the two out")
        texts = label_texts(values)
        if len(texts) != len(frame):
            raise SourceError(f"there are {len(texts)} values of '{name}' for {len(frame)} rows", hint="give one a row")
        frame = frame.assign(**{name: texts})
    return frame


def out_of_fold(given: Objects, seed: int) -> Array:
    """float64 [N, C] probabilities by an estimator of scikit-learn, each item's by a fit that did not see it.

    Items of one group stay in one fold. Columns stand in the sorted order of the class names.

    Raises
    ------
    ConfigError
        There are no features or labels to fit it on, a class is too small, or it fails.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

    estimator = given.probabilities
    name = type(estimator).__name__
    if given.features is None or given.labels is None:
        raise ConfigError(f"{name} has nothing to learn from", hint="give features= and labels= beside it")
    labels = np.array(label_texts(given.labels))
    named = labels != ""
    smallest = int(np.unique(labels[named], return_counts=True)[1].min(initial=len(labels)))
    if smallest < 2:
        raise ConfigError(f"a class has {smallest} item, so {name} cannot be tried on it", hint="give more items")
    x, split = _columns(given.features), {"n_splits": min(FOLDS, smallest), "shuffle": True, "random_state": seed}
    groups = None if given.groups is None else _own_where_empty(label_texts(given.groups))
    folds = StratifiedKFold(**split) if groups is None else StratifiedGroupKFold(**split)
    whole = np.full((len(labels), len(np.unique(labels[named]))), np.nan)
    rows = np.flatnonzero(named)
    try:
        whole[rows] = cross_val_predict(
            estimator,
            x.iloc[rows] if hasattr(x, "iloc") else x[rows],
            labels[rows],
            groups=None if groups is None else groups[rows],
            cv=folds,
            method="predict_proba",
        )
    except Exception as error:  # an estimator may raise anything
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ConfigError(f"{name} failed: {said}", hint="try it with cross_val_predict first") from error
    return whole


def _columns(features: Any) -> Any:
    """What an estimator learns from: a data frame as it is, anything else as an array."""
    return features if isinstance(features, pd.DataFrame) else block_from(features, "features").values


def _own_where_empty(groups: Sequence[str]) -> Array:
    return np.array([group or f"\0{row}" for row, group in enumerate(groups)])
