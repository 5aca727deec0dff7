"""Strangers: hidden classes say how far a stranger lies, and where nobody can tell, that is said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from auditor.oddities import Audited, Oddity, strangers
from auditor.oddities.distances import NEAREST, class_means, neighbours
from auditor.system.arrays import Array


def _items(n_classes: int, each: int, n_strange: int, apart: float, seed: int = 0) -> tuple[Array, Array, Array]:
    """Features float32 [N, 30], labels, and which are strangers: round classes with centres `apart` long."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_classes + 1, 30)) * apart / np.sqrt(30)
    labels = np.repeat(np.arange(n_classes), each)
    x = centres[labels] + rng.normal(size=(len(labels), 30))
    strange = centres[-1] + rng.normal(size=(n_strange, 30))
    given = np.r_[labels, rng.integers(n_classes, size=n_strange)]
    truth = np.r_[np.zeros(len(labels)), np.ones(n_strange)]
    return np.concatenate([x, strange]).astype(np.float32), given.astype(np.int64), truth


def _found(x: Array, labels: Array, families: Array | None = None) -> Oddity:
    classes = [f"class {i}" for i in range(labels.max() + 1)]
    data = SimpleNamespace(features=x, labels=labels, n_classes=len(classes), classes=classes)
    detection = SimpleNamespace(p_mislabelled=None)
    seen: Any = SimpleNamespace(
        data=data, families=np.arange(len(x)) if families is None else families, detection=detection, seed=3
    )
    return strangers.find(cast(Audited, seen))


def test_planted_strangers_lead_and_those_that_lie_so_far_are_counted() -> None:
    x, labels, truth = _items(6, 60, 8, apart=9)
    found = _found(x, labels)
    assert found.told and found.value is not None and found.interval is None and found.values is not None
    assert average_precision_score(truth, found.values) > 0.95
    assert 0 <= found.value <= 12 and "bounds no number" in found.notes[0]
    assert {item.row for item in found.items[:8]} == set(range(360, 368))
    assert "of 368 images lie so far" in found.items[0].said and "planted strangers" in found.items[0].said


def test_strangers_that_stand_on_the_classes_cannot_be_told() -> None:
    x, labels, _ = _items(6, 60, 8, apart=0.2)
    found = _found(x, labels)
    assert not found.told and found.value is None and found.items == () and "Nobody can tell" in found.summary
    assert found.rows and found.rows[0][2] is not None, "what the plantings gave is shown"


def test_with_two_classes_the_list_stands_without_a_figure() -> None:
    x, labels, truth = _items(2, 60, 4, apart=9)
    found = _found(x, labels)
    assert not found.told and found.value is None and "With two classes" in found.summary
    assert average_precision_score(truth, cast(Array, found.values)) > 0.9 and found.items


def test_few_items_tell_nothing() -> None:
    x, labels, _ = _items(3, 10, 1, apart=9)
    assert not _found(x, labels).told


def test_equal_input_gives_equal_output() -> None:
    x, labels, _ = _items(4, 30, 4, apart=6)
    assert np.array_equal(cast(Array, _found(x, labels).values), cast(Array, _found(x, labels).values))


def test_copies_of_a_stranger_do_not_hide_it() -> None:
    x, labels, _ = _items(4, 40, 1, apart=9)
    x, labels = np.concatenate([x, np.repeat(x[-1:], 12, axis=0)]), np.r_[labels, [0] * 12]
    families = np.r_[np.arange(161), np.full(12, 160)]
    assert _found(x, labels, families).items[0].row in range(160, 173)


def test_neighbours_are_those_of_a_plain_search() -> None:
    x, labels, _ = _items(3, 20, 2, apart=3)
    found = neighbours(x, labels, np.arange(len(x)), 0)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    apart = 1 - unit @ unit.T
    np.fill_diagonal(apart, np.inf)
    assert found.mean() == pytest.approx(np.sort(apart, axis=1)[:, :NEAREST].mean(axis=1), abs=1e-5)
    hidden = np.where(labels[None] == 1, np.inf, apart)
    assert found.mean(1) == pytest.approx(np.sort(hidden, axis=1)[:, :NEAREST].mean(axis=1), abs=1e-5)
    rows, fellows = labels == 1, np.zeros(len(x), bool)
    fellows[np.flatnonzero(rows)[:4]] = True
    few = np.where((labels[None] == 1) & ~fellows[None], np.inf, apart)[rows]
    assert found.as_stranger(rows, fellows) == pytest.approx(np.sort(few, axis=1)[:, :NEAREST].mean(axis=1), abs=1e-5)
    own = np.where(labels[None] == labels[:, None], np.inf, apart)
    assert found.others.mean(axis=1) == pytest.approx(np.sort(own, axis=1)[:, :NEAREST].mean(axis=1), abs=1e-5)


def test_the_relative_distance_is_that_of_its_definition() -> None:
    x, labels, _ = _items(3, 30, 0, apart=3)
    found = class_means(x, labels, np.ones(len(x), bool), np.arange(len(x)), 0)
    rows, learn = found.fold == 2, found.fold != 2
    z = (x - x.mean(0)) / x.std(0)
    means = np.stack([z[learn & (labels == c)].mean(0) for c in range(3)])
    centred = (z - means[labels])[learn]
    covariance = centred.T @ centred / learn.sum()
    covariance = 0.5 * covariance + 0.5 * np.eye(30) * np.trace(covariance) / 30
    inverse = np.linalg.inv(covariance)

    def distance(centre: Array) -> Array:
        return np.asarray(np.einsum("ij,jk,ik->i", z[rows] - centre, inverse, z[rows] - centre))

    nearest = np.min([distance(mean) for mean in means], axis=0)
    weight = found.sizes / found.sizes.sum()
    assert found.relative()[rows] == pytest.approx(nearest - distance(weight @ means), rel=1e-3, abs=1e-3)
    assert found.relative(0)[rows].shape == (rows.sum(),)
