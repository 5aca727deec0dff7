"""`--train auto`: detection learns from tuned networks where they give more left-out labels, else it says why not."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers import FIXTURES, small_audit, tiny_network, use_hasty_detection, use_sketched_figures, use_tiny_network

from auditor.cli import main
from auditor.errors import EngineError
from auditor.model import tuning
from auditor.model.halves import Halves, operations
from auditor.model.resnet import ResNet18
from auditor.model.tuning import Answers
from auditor.pipeline import choosing, room
from auditor.pipeline import tuned_features as stage

TUNED = {"tuned_loss", "tuned_margin"}


@pytest.fixture
def audit(tmp_path, monkeypatch):
    """Audits the digits with `--train auto`; gives audit.json and what the terminal said.

    The networks of the folds give a share of the labels that they have not learnt: what they learn here in two epochs
    is beside the point.
    """
    torch.save({k: v for k, v in tiny_network(2, 0).state_dict().items() if "fc." not in k}, tmp_path / "w.pth")
    use_tiny_network(monkeypatch)
    use_sketched_figures(monkeypatch)
    use_hasty_detection(monkeypatch)
    monkeypatch.setattr(stage, "FOLDS", 2)
    monkeypatch.setattr(choosing, "FOLDS", 2)
    real, told, seen = tuning.tuned, tuning.answers, list[np.ndarray]()

    def audited(share: float, *more: str):
        def learning(halves, maps, labels, *rest):
            seen.append(labels)
            return real(halves, maps, labels, *rest)

        def asking(upper, classifier, maps, rows):
            right = np.random.default_rng(0).random(len(rows)) < share
            likely = np.full((len(rows), 2), 0.1, np.float32)
            likely[np.arange(len(rows)), np.where(right, seen[-1][rows], 1 - seen[-1][rows])] = 0.9
            return Answers(told(upper, classifier, maps, rows).features, np.log(likely))

        monkeypatch.setattr(tuning, "tuned", learning)
        monkeypatch.setattr(tuning, "answers", asking)
        fixed = ["--weights", str(tmp_path / "w.pth"), "--train", "auto", "--epochs", "2", "--image-size", "8"]
        words = [word for word in small_audit(tmp_path / "data", tmp_path / "out", *fixed, *more) if word != "--quiet"]
        done = CliRunner().invoke(main, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8")), done.output

    (tmp_path / "data").symlink_to(FIXTURES / "digits")
    return audited


def _signals(document) -> set[str]:
    return {signal["name"] for signal in document["signals"]}


def test_networks_that_give_more_left_out_labels_are_learnt_from(audit):
    document, said = audit(1.0)
    assert _signals(document) >= TUNED, document["notes"]
    why = next(note for note in document["notes"] if note.startswith("--train auto"))
    assert "tuned networks gave 100% of the labels left out, a head on the frozen features" in why
    assert any("2 networks that were tuned (layers:" in note for note in document["notes"])
    assert document["settings"]["train"] == "auto" and document["model"]["trained"] == "head"
    assert "tuning 2 networks" in said


def test_networks_that_give_no_more_are_let_go(audit):
    document, said = audit(0.5)
    assert not _signals(document) & TUNED
    assert not any("networks that were tuned" in note for note in document["notes"])
    why = next(note for note in document["notes"] if note.startswith("--train auto"))
    assert "do not tell surely more: they gave 4" in why and why in said


def test_work_that_would_take_too_long_is_not_begun(audit, monkeypatch):
    monkeypatch.setattr(choosing, "MOST_OPERATIONS", {"cpu": 1.0})
    document, said = audit(1.0)
    assert not _signals(document) & TUNED and "tuning 2 networks" not in said
    assert any("auto spends up to 1e+00 of them on cpu (--train layers:" in note for note in document["notes"])


def test_a_head_that_gives_nearly_all_labels_leaves_nothing_to_tune(audit, monkeypatch):
    monkeypatch.setattr(choosing, "GOOD", 0.0)
    document, said = audit(1.0)
    assert not _signals(document) & TUNED and "tuning 2 networks" not in said
    assert any("because a head on them gives" in note for note in document["notes"])


def test_without_memory_the_head_stays(audit, monkeypatch):
    def refuse(needed, what, *_):
        raise EngineError(f"{what} needs too much")

    monkeypatch.setattr(room, "require", refuse)
    document, said = audit(1.0)
    assert not _signals(document) & TUNED and "because this machine has no memory for" in said
    assert any("says how much they need" in note for note in document["notes"])


def test_a_backbone_that_starts_from_nothing_is_not_tuned(audit):
    document, _ = audit(1.0, "--weights", "none")
    assert not _signals(document) & TUNED
    assert any("because there is no pretrained network to tune" in note for note in document["notes"])


def test_operations_of_a_step_are_counted():
    kind = ResNet18()
    network = kind.network(10, 64, pretrained=True)
    halves = Halves(kind, network, "layers:fc", 64)
    assert operations(halves) == 3 * 2 * 512 * 10, "a product of 512 x 10, forward and twice back"
    later = operations(Halves(kind, network, "layers:layer3,layer4", 64))
    assert 0.4 < later / operations(Halves(kind, network, "full", 64)) < 0.6
