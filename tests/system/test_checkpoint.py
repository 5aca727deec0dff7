"""The same audit finds its finished stages again. No other audit does. They are gone when it has finished."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import FIXTURES, tiny_network, use_hasty_detection, use_sketched_figures, use_tiny_network

import auditor
from auditor import detection as detecting
from auditor.experiment import resuming
from auditor.model import training, training_state
from auditor.system import checkpoint, serial
from auditor.system.checkpoint import Checkpoints

DECIDING = ({"seed": 0, "classes": ["a", "b"]}, np.arange(6.0), np.array(["train", "test"], dtype=object))


def _opened(cache: Path, *deciding: object) -> Checkpoints:
    kept = Checkpoints(cache)
    kept.open(*(deciding or DECIDING))
    return kept


def _files(cache: Path) -> list[Path]:
    return sorted((cache / "checkpoints").rglob("*.npz"))


def test_a_stage_is_computed_once(tmp_path: Path) -> None:
    told: list[str] = []
    assert _opened(tmp_path).once("a", lambda: (1, "x")) == (1, "x")
    again = Checkpoints(tmp_path, told.append)
    again.open(*DECIDING)
    assert again.once("a", lambda: pytest.fail("computed again")) == (1, "x")
    assert told == ["a"]
    again.clear()
    assert list(tmp_path.iterdir()) == []
    assert _opened(tmp_path).recall("a") is None


@pytest.mark.parametrize(
    "other",
    [
        ({"seed": 1, "classes": ["a", "b"]}, *DECIDING[1:]),
        (DECIDING[0], np.arange(6.0).reshape(2, 3), DECIDING[2]),
        (DECIDING[0], np.arange(6), DECIDING[2]),
        (*DECIDING[:2], np.array(["traint", "est"], dtype=object)),
        (*DECIDING, None),
    ],
)
def test_another_audit_finds_nothing(tmp_path: Path, other: tuple[object, ...]) -> None:
    _opened(tmp_path).keep("a", 1)
    assert _opened(tmp_path, *other).recall("a") is None


def test_another_version_of_the_program_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _opened(tmp_path).keep("a", 1)
    monkeypatch.setattr(checkpoint, "code", lambda: "other")
    assert _opened(tmp_path).recall("a") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-7]),
        lambda path: path.write_bytes(os.urandom(300)),
        lambda path: path.rename(path.with_name("b.npz")),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), path.symlink_to("/dev/null")),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: path.write_bytes(serial.dumps(("the key of another audit", "a", 1))),
    ],
)
def test_damaged_and_foreign_files_are_computed_again(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    _opened(tmp_path).keep("a", 1)
    damage(_files(tmp_path)[0])
    assert _opened(tmp_path).once("a", lambda: 2) == 2
    assert _opened(tmp_path).recall("b") is None


def test_stages_are_private_and_old_ones_are_forgotten(tmp_path: Path) -> None:
    _opened(tmp_path, "old").keep("a", 1)
    old = _files(tmp_path)[0].parent
    past = time.time() - checkpoint.FORGOTTEN - 1
    os.utime(old, (past, past))
    _opened(tmp_path, "young").keep("a", 1)
    _opened(tmp_path).keep("a", 1)
    assert not old.exists() and checkpoint.FORGOTTEN == 7 * 24 * 3600
    files = _files(tmp_path)
    assert len(files) == 2, "of the audit that is not old too"
    assert all(path.stat().st_mode & 0o077 == 0 for file in files for path in (file, file.parent, file.parent.parent))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert _opened(tmp_path / "file").once("a", lambda: 5) == 5
    assert Checkpoints(None).once("a", lambda: 6) == 6


class _Killed(BaseException):
    """Not an `Exception`: no handler stops it, so that it ends the work as a kill does."""


SETTINGS = {"weights": "none", "repeats": 2, "epochs": 3, "examples": 1, "thumbnails": 2, "image_size": "8"}
SAME = ("ranking.csv", "planted.csv", "evidence.json")


@pytest.mark.parametrize("train", ["head", pytest.param("full", marks=pytest.mark.slow)])
def test_an_audit_killed_after_any_stage_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train: str
) -> None:
    use_tiny_network(monkeypatch)
    use_sketched_figures(monkeypatch)
    use_hasty_detection(monkeypatch)
    monkeypatch.setattr(resuming, "SAVE_EVERY", 0.0)
    calls: list[str] = []

    def counted(module: object, name: str) -> None:
        real = getattr(module, name)

        def call(*arguments: object, **options: object) -> object:
            calls.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, call)

    counted(detecting, "detect")
    counted(detecting.Scorer, "suspicion")
    counted(training, "train_head")

    def audit(out: str) -> dict[str, bytes]:
        auditor.audit(FIXTURES / "digits", out=tmp_path / out, cache=str(tmp_path / "cache"), train=train, **SETTINGS)
        return {name: (tmp_path / out / name).read_bytes() for name in SAME}

    expected = audit("undisturbed")
    stages: list[str] = []
    real_keep = Checkpoints.keep

    def killing(self: Checkpoints, stage: str, result: object) -> None:
        real_keep(self, stage, result)
        if stage not in stages:
            stages.append(stage)
            raise _Killed

    monkeypatch.setattr(Checkpoints, "keep", killing)
    for _ in range(40):
        calls.clear()
        try:
            found = audit("killed")
            break
        except _Killed:
            # Finished work is not done again, so at most one of each kind is done before the next kill.
            assert calls.count("detect") == (stages[-1] == "detection")
            assert calls.count("suspicion") <= 1
    assert found == expected
    kinds = [name.split("-")[0] for name in stages]
    assert kinds.count("detection") == 1 and kinds.count("run") == 3 and kinds.count("suspicion") == 2
    if train == "full":
        # Three runs of three epochs. Each was killed after its first epoch was kept, and ran again.
        assert kinds.count("training") == 3
    assert not (tmp_path / "cache" / "checkpoints").exists()


def test_a_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    images = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    labels = np.arange(20) % 2

    class Keeper:
        """Keeps every state, and starts from the last one."""

        def __init__(self, found: training_state.TrainingState | None = None) -> None:
            self.found, self.states = found, list[training_state.TrainingState]()

        def load(self) -> training_state.TrainingState | None:
            return self.found

        def save(self, state: Callable[[], training_state.TrainingState]) -> None:
            self.states.append(state())

    def train(keeper: Keeper | None) -> tuple[training.Losses, dict[str, torch.Tensor]]:
        network = tiny_network(2, 0)
        schedule = training.Schedule(epochs=4, learning_rate=0.01, batch_size=6, seed=3)
        points = training.LabelledImages(lambda index: images[index], labels)
        losses = training.train_network(network, points, schedule, store=keeper, val=points)
        assert not network.training
        return losses, network.state_dict()

    losses, expected = train(None)
    keeper = Keeper()
    train(keeper)
    assert len(keeper.states) == 4
    for count, state in enumerate(keeper.states, start=1):
        _opened(tmp_path).keep("state", state)
        resumed = Keeper(_opened(tmp_path).recall("state"))
        again, weights = train(resumed)
        assert len(resumed.states) == 4 - count
        assert again == losses
        assert all(torch.equal(weights[name], value) for name, value in expected.items())


def test_the_states_of_a_training_are_kept_at_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _opened(tmp_path)
    states = resuming.TrainingStates(kept, np.array([0, 1]))
    states.save(lambda: pytest.fail("too soon"))
    assert states.load() is None
    monkeypatch.setattr(resuming, "SAVE_EVERY", 0.0)
    one = training_state.TrainingState((0.5,), (), {"w": np.ones(2)}, {}, np.zeros(3, np.uint8))
    states.save(lambda: one)
    found = resuming.TrainingStates(kept, np.array([0, 1])).load()
    assert found is not None and found.train_losses == (0.5,)
    assert resuming.TrainingStates(kept, np.array([1, 1])).load() is None


def test_stages_of_a_finished_audit_are_removed_by_its_id_and_no_others(tmp_path: Path) -> None:
    opened = {name: Checkpoints(tmp_path) for name in ("a", "b", "nobody's")}
    for name, kept in opened.items():
        kept.open(name)
        kept.belong_to("too soon: there is no stage yet")
        kept.keep("stage", 1)
        if name != "nobody's":
            kept.belong_to(f"id-{name}")
    checkpoint.remove_finished(tmp_path, "id-a")
    assert [kept.recall("stage") for kept in opened.values()] == [None, 1, 1]
    checkpoint.remove_finished(tmp_path, "id-[b]*")
    checkpoint.remove_finished(None, "id-b")
    assert opened["b"].recall("stage") == 1
    checkpoint.remove_finished(tmp_path, "id-b")
    opened["nobody's"].clear()
    assert list(tmp_path.iterdir()) == []
