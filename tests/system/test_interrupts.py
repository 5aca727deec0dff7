"""Interrupts during work that must not stop in the middle: they come late, are never lost, and stay interrupts."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pandas as pd
import pytest

from auditor.pipeline.evidence import lowest_planted
from auditor.report import plots
from auditor.system import interrupts
from auditor.system.interrupts import held


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Set the handlers that the command sets, and put the old ones back."""
    before = {which: signal.getsignal(which) for which in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    signal.signal(signal.SIGTERM, interrupts.interrupt)
    yield
    for which, handler in before.items():
        signal.signal(which, handler)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_end_of_the_block(which: signal.Signals) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held():
        os.kill(os.getpid(), which)
        os.kill(os.getpid(), which)
        done.append(True)
    assert done == [True]
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), which)


def test_without_an_interrupt_nothing_happens_and_errors_stay_what_they_are() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with held():
        pass
    with pytest.raises(ZeroDivisionError), held():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_was_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_changes_no_handler() -> None:
    seen = []

    def work() -> None:
        with held():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_a_figure_is_drawn_to_its_end_before_an_interrupt_takes_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    """If an interrupt comes while matplotlib's C code asks for a matrix, it reports an invalid matrix instead."""
    from matplotlib.transforms import Affine2DBase

    real, asked = Affine2DBase.__array__, []

    def interrupted(self: Affine2DBase, *arguments: object, **options: object) -> object:
        if not asked:
            os.kill(os.getpid(), signal.SIGINT)
        asked.append(True)
        return real(self, *arguments, **options)

    monkeypatch.setattr(Affine2DBase, "__array__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        plots.loss_curves({"train": [2.0, 1.0], "val": []}, {"train": [2.0, 1.0], "val": []}, "x")
    assert len(asked) > 1


def test_the_planted_images_are_told_to_their_end_before_an_interrupt_takes_effect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """pandas' C code for JSON asks Python for each column. An interrupt there ended the process (SIGSEGV)."""
    columns = ["path", "label", "trained_label", "planted", "average_influence", "influence_rank"]
    frame = pd.DataFrame([["a.png", "cat", "dog", True, 0.5, 1]], columns=columns)
    manager = type(frame._mgr)
    real, asked = manager.column_arrays.fget, []

    def interrupted(self: object) -> object:
        if not asked:
            signal.raise_signal(signal.SIGTERM)
        asked.append(True)
        return real(self)

    monkeypatch.setattr(manager, "column_arrays", property(interrupted))
    with pytest.raises(KeyboardInterrupt):
        lowest_planted(frame)
    assert asked
