"""A signal from outside the package: one function and one registration."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest
from worlds import QUICK, blobs, flip

from auditor.detection import HeadOutputs, Labelled, Scorer, Signal, detect, register_signal
from auditor.detection.registry import GROUP, all_signals, identities, meanings
from auditor.detection.signals import INFLUENCE_SIGNALS, SIGNALS
from auditor.errors import AuditorError, ConfigError


def surprise(told: HeadOutputs) -> np.ndarray:
    """How far the probability of the label lies below that of the most probable one."""
    p = np.exp(told.log_probabilities)
    return p.max(axis=1, keepdims=True) - p


SURPRISE = Signal("surprise", "How far the label lies below the most probable one.", surprise)


@pytest.fixture
def images() -> Labelled:
    x, y = blobs(150, 3, gap=1.5)
    return Labelled(x, flip(y, 3, 0.15)[0], 3, blobs(60, 3, gap=1.5, seed=5))


def test_a_registered_signal_joins_the_suspicion_behind_the_others(images: Labelled) -> None:
    before = detect(images, seed=0, settings=QUICK)
    with register_signal(SURPRISE):
        found = detect(images, seed=0, settings=QUICK)
        assert meanings()["surprise"] == SURPRISE.meaning
        scored = Scorer(images, seed=0, settings=QUICK).suspicion(images.labels, 0)
    own = [signal.name for signal in SIGNALS if not (signal.needs_own or signal.needs_tuned)]
    reported = [signal.name for signal in INFLUENCE_SIGNALS]
    assert list(found.weights) == list(found.signals) == [*own, "surprise", *reported]
    assert found.weights["surprise"] > 0
    assert (found.suspicion != before.suspicion).any()
    np.testing.assert_array_equal(scored, found.suspicion)
    for name in (*own, *reported):
        np.testing.assert_array_equal(found.signals[name], before.signals[name])


def test_its_registration_ends_with_its_context(images: Labelled) -> None:
    before, made_of = detect(images, seed=0, settings=QUICK), identities()
    with pytest.raises(RuntimeError), register_signal(SURPRISE):
        assert identities() != made_of  # kept stages of an audit without it are not taken for ones with it
        raise RuntimeError
    assert all_signals() == SIGNALS and identities() == made_of == []
    assert detect(images, seed=0, settings=QUICK).suspicion.tobytes() == before.suspicion.tobytes()
    register_signal(SURPRISE).close()
    assert "surprise" not in meanings()


def test_an_installed_package_brings_a_signal(images: Labelled, declared: Callable[..., None]) -> None:
    declared(GROUP, surprise=f"{__name__}:SURPRISE")
    with register_signal(Signal("noise", "Nothing.", lambda told: told.stacked_loss * 0)):
        found = detect(images, seed=0, settings=QUICK)
        assert [signal.name for signal in all_signals()[len(SIGNALS) :]] == ["noise", "surprise"]
    assert found.weights["surprise"] > 0 and found.weights["noise"] == 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("nowhere:SIGNAL", "the signal 'signal' cannot be loaded from nowhere:SIGNAL"),
        ("math:pi", "the entry point 'signal' of auditor.signals names no Signal"),
        ("auditor.detection.signals:TAKEN", "names a signal 'margin'"),
    ],
)
def test_a_package_that_brings_no_usable_signal_is_named(
    value: str, message: str, declared: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = Signal("margin", "Another margin.", surprise)
    monkeypatch.setattr("auditor.detection.signals.TAKEN", taken, raising=False)
    declared(GROUP, signal=value)
    with pytest.raises(ConfigError, match=message):
        all_signals()


@pytest.mark.parametrize("name", ["margin", "average_influence", "surprise"])
def test_two_signals_never_share_a_name(name: str) -> None:
    with register_signal(SURPRISE), pytest.raises(ConfigError, match=f"the signal '{name}' is there already"):
        register_signal(Signal(name, "The same again.", surprise))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda told: told.stacked_loss[:, 0], r"the signal 'bad' has shape \(210,\), not \(210, 3\)"),
        (lambda told: told.stacked_loss * np.nan, "the signal 'bad' holds values that are not finite"),
        (lambda told: told.nothing, "the signal 'bad' failed: AttributeError: .*no attribute 'nothing'"),
    ],
)
def test_values_that_cannot_be_combined_are_refused(
    values: Callable[[HeadOutputs], np.ndarray], message: str, images: Labelled
) -> None:
    with register_signal(Signal("bad", "Unusable.", values)), pytest.raises(AuditorError, match=message):
        detect(images, seed=0, settings=QUICK)


def test_kept_work_is_never_taken_over_where_a_signals_code_cannot_be_told() -> None:
    with register_signal(Signal("no file", "A callable object.", functools.partial(surprise))):
        assert identities() != identities()
