"""`--train layers:...` with pretrained weights: detection rests on networks that were tuned on other folds."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from helpers import (
    FIXTURES,
    small_audit,
    tiny_network,
    use_hasty_detection,
    use_sketched_figures,
    use_tiny_network,
)

from auditor.cli import main
from auditor.model import tuning
from auditor.pipeline import tuned_features as stage

DIGITS = FIXTURES / "digits"


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """One audit with tuned networks, and what each of them learnt and was asked about."""
    folder = tmp_path_factory.mktemp("tuned")
    torch.save({k: v for k, v in tiny_network(2, 0).state_dict().items() if "fc." not in k}, folder / "w.pth")
    learnt: list[tuple[np.ndarray, np.ndarray]] = []
    stops = [KeyboardInterrupt()]  # at the second fold; the same command then goes on
    asked: list[np.ndarray] = []
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_network(patch)
        use_sketched_figures(patch)
        use_hasty_detection(patch)
        real, told = tuning.tuned, tuning.answers
        patch.setattr(stage, "FOLDS", 2)

        def learning(halves, maps, labels, train, recipe, *rest):
            if recipe.epochs > 1:  # one epoch is a trial of how long a step takes
                if len(learnt) == 1 and stops:
                    raise stops.pop()
                learnt.append((labels[train], train))
            return real(halves, maps, labels, train, recipe, *rest)

        def asking(upper, classifier, maps, rows):
            asked.append(rows)
            return told(upper, classifier, maps, rows)

        patch.setattr(tuning, "tuned", learning)
        patch.setattr(tuning, "answers", asking)
        more = ["--weights", str(folder / "w.pth"), "--train", "layers:layer4,fc", "--epochs", "2", "--image-size", "8"]
        words = [*small_audit(DIGITS, folder / "out", *more), "--cache", str(folder / "cache")]
        words = [word for word in words if word != "--quiet"]
        stopped, done = (CliRunner().invoke(main, words, catch_exceptions=False) for _ in range(2))
        assert stopped.exit_code == 130
    return done, folder / "out", learnt, asked


def test_no_network_that_judges_an_image_has_seen_its_label(audited):
    done, _, learnt, asked = audited
    assert done.exit_code == 0, done.output
    assert len(learnt) == len(asked) == 4, "two folds of the given labels, and two of one planting"
    for (labels, train), rows in zip(learnt, asked, strict=True):
        assert not set(train) & set(rows)
        assert labels.min() >= 0
    assert sorted(np.concatenate(asked[:2])) == list(range(len(pd.read_csv(audited[1] / "ranking.csv"))))


def test_the_experiments_networks_learn_planted_labels(audited):
    _, out, learnt, _ = audited
    planted = pd.read_csv(out / "planted.csv")
    flips = int((planted["label"] != planted["trained_label"]).sum())
    given = {int(row): int(label) for labels, train in learnt[:2] for label, row in zip(labels, train, strict=True)}
    again = {int(row): int(label) for labels, train in learnt[2:] for label, row in zip(labels, train, strict=True)}
    assert flips > 0 and sum(given[row] != label for row, label in again.items()) == flips
    assert len(again) == len(planted)


def test_the_result_says_what_it_rests_on_and_the_terminal_what_it_costs(audited):
    done, out, _, _ = audited
    document = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    assert {"tuned_loss", "tuned_margin"} <= {signal["name"] for signal in document["signals"]}
    assert not {"own_loss", "own_margin"} & {signal["name"] for signal in document["signals"]}
    assert any("networks that were tuned" in note for note in document["notes"])
    said = [line for line in done.output.splitlines() if "tuning 2 networks" in line]
    assert len(said) == 1 and "about 1 minute here, and the experiment does it once more" in said[0]


def test_a_frozen_backbone_and_one_that_starts_from_nothing_are_not_tuned():
    assert not stage.serves(None, None)  # type: ignore[arg-type]
