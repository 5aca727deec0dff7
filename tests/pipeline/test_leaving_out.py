"""`--exact`: what a suspect's label would be worth if an item that speaks of it had not been there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import FIXTURES

import auditor
from auditor.errors import ConfigError
from auditor.result import AuditResult

QUICK = {"weights": "none", "epochs": 2, "repeats": 1, "examples": 0, "thumbnails": 6, "image_size": 8}


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    """An audit that leaves items out for its first two suspects."""
    return auditor.audit(FIXTURES / "digits", exact=2, cache=str(tmp_path_factory.mktemp("cache")), quiet=True, **QUICK)


def test_the_first_suspects_have_exact_answers_and_the_others_none(exact: AuditResult) -> None:
    order = list(exact.ranking.sort_values("rank")["path"].head(6))
    told = [exact.evidence["why"][path]["left_out"] is not None for path in order]
    assert told == [True] * 2 + [False] * 4
    for path in order:
        why = exact.evidence["why"][path]
        each = [one["without"] is not None for one in (*why["in_favour"], *why["against"])]
        assert each and set(each) == {why["left_out"] is not None}


def test_what_speaks_for_a_label_is_missed_and_what_speaks_against_it_is_not(exact: AuditResult) -> None:
    """Influence chose the items. Where they are truly left out, the probability moves the way that influence says."""
    agree = list[bool]()
    for why in exact.evidence["why"].values():
        if why["left_out"] is not None:
            assert 0 <= why["left_out"] <= 1
            agree += [one["without"] < why["left_out"] for one in why["in_favour"]]
            agree += [one["without"] > why["left_out"] for one in why["against"]]
    assert len(agree) >= 6 and np.mean(agree) > 0.8


@pytest.mark.parametrize(
    "settings",
    [{"preset": "study"}, {"damping": "0.1"}, {"train": "layers:layer4,fc"}],
    ids=["study", "damping", "layers"],
)
def test_a_head_that_is_at_no_minimum_is_refused_before_the_work(settings: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--exact trains a head again") as caught:
        auditor.audit(FIXTURES / "digits", exact=2, cache=str(tmp_path), quiet=True, **{**QUICK, **settings})
    assert "--train head" in str(caught.value.hint)
