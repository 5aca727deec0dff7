"""What suspicion makes of its signals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auditor.detection import DetectionSettings
from auditor.detection.likelihood import CLASSWISE, CONFUSION, UNIFORM
from auditor.detection.signals import Signals
from auditor.detection.suspicion import fit_combination
from auditor.detection.views import Views
from auditor.model.scaling import Scaling

KINDS = ("uniform", "confusion")


def signals(n: int, classes: int, m: int = 0) -> Signals:
    rng = np.random.default_rng(0)
    truth = np.arange(n + m) % classes
    x = rng.normal(size=(n + m, 8)) + 1.5 * rng.normal(size=(classes, 8))[truth]
    views = Views(Scaling.of(x)(x), truth[n:], classes, settings=DetectionSettings(landmarks=100), seed=0)
    return views.signals(np.where(rng.random(n) < 0.1, (truth[:n] + 1) % classes, truth[:n]))


def weights(given: Signals, m: int = 0, use: tuple[str, ...] | None = None) -> dict[str, float]:
    fitted = fit_combination(given, n_trusted=m, plantings=1, seed=0, kinds=KINDS, use=use)
    return dict(zip(given.values, fitted.weights, strict=True))


def test_labels_wrong_at_random_are_told_by_their_loss_and_others_by_the_odds() -> None:
    given = signals(200, 3)

    def of(kind: str) -> dict[str, float]:
        kinds = {k: float(k == kind) for k in (UNIFORM, CONFUSION, CLASSWISE)}
        return weights(replace(given, model=replace(given.model, kinds=kinds)))

    at_random, confused = of(UNIFORM), of(CONFUSION)
    assert at_random["stacked_loss"] > 1.5 * confused["stacked_loss"]
    assert confused["error_odds"] > 1.5 * at_random["error_odds"]
    assert of(CLASSWISE) == confused


@pytest.mark.parametrize(("classes", "useless"), [(2, {"margin", "trusted_loss"}), (3, {"trusted_loss"})])
def test_no_weight_is_negative_and_signals_that_say_nothing_new_weigh_nothing(classes: int, useless: set[str]) -> None:
    found = weights(signals(150, classes))
    assert min(found.values()) >= 0
    assert all(found[name] == 0 for name in useless)
    alone = weights(signals(150, classes), use=("in_fold_loss",))
    assert [name for name, weight in alone.items() if weight > 0] == ["in_fold_loss"]


def test_trusted_labels_outweigh_given_ones() -> None:
    """Given labels that a signal fools and trusted ones that it does not: the fit believes the trusted ones."""
    m, blind = 150, signals(150, 2, 150)
    rows = np.arange(150)
    fooled = {name: values.copy() for name, values in blind.values.items()}
    fooled["in_fold_loss"][rows, blind.labels[:150]] = 0  # right about all given labels, by having learnt them
    fooled["in_fold_loss"][rows, 1 - blind.labels[:150]] = 9
    fooled["in_fold_loss"][150:] = 1  # and with nothing to say of others
    told = replace(blind, values=fooled)
    with_trusted, without = weights(told, m), weights(told.select(rows))
    fooled_part, before = (one["in_fold_loss"] / sum(one.values()) for one in (with_trusted, without))
    assert fooled_part < 0.5 * before
