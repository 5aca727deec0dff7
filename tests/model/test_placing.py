"""A Mac's GPU, which nobody tried: what is done there, what is done on the processor, and how it must prove itself.

The device is simulated (`simulated_mps.py`): it refuses what Metal refuses. No such hardware was at hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import FIXTURES, small_audit
from simulated_mps import OnMps, use_mps
from torch import nn

from auditor.errors import ConfigError
from auditor.model.placing import images_on, placed, require_agreement

if TYPE_CHECKING:
    from click.testing import Result


def network() -> nn.Module:
    torch.manual_seed(1)
    first = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5))
    return nn.Sequential(first, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))


@pytest.fixture(scope="module", params=["head", "layers:layer4,fc", pytest.param("full", marks=pytest.mark.slow)])
def audits(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, run_cli: Callable[..., Result]
) -> dict[str, Path]:
    """The same audit on the processor and on `mps`, by the command."""
    from helpers import use_hasty_detection, use_sketched_figures, use_tiny_network

    place = tmp_path_factory.mktemp("devices")
    more = ["--train", request.param, "--epochs", "2", "--image-size", "8", "--examples", "0", "--thumbnails", "2"]
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_network(patch)
        use_sketched_figures(patch)
        use_hasty_detection(patch)
        words = small_audit(FIXTURES / "digits", place / "cpu", *more, "--device", "cpu")
        done = run_cli(*words)
        assert done.exit_code == 0, done.stderr
        with use_mps(patch) as device:
            done = run_cli(*small_audit(FIXTURES / "digits", place / "mps", *more, "--device", "mps"))
        assert done.exit_code == 0, done.stderr
        assert device.asked > (20 if request.param == "head" else 500), "the work was done there"
    return {name: place / name for name in ("cpu", "mps")}


def test_an_audit_on_mps_gives_what_the_processor_gives(audits: dict[str, Path]) -> None:
    here, there = (pd.read_csv(audits[name] / "ranking.csv").set_index("path").sort_index() for name in ("cpu", "mps"))
    for column in ("suspicion", "average_influence"):  # sums in another order, so nearly the same
        known = here[column].notna()
        np.testing.assert_array_equal(there[column].notna(), known)
        assert np.corrcoef(there[column][known], here[column][known])[0, 1] > 0.99
    summaries = [json.loads((audits[name] / "audit.json").read_text()) for name in ("cpu", "mps")]
    assert [summary["run"]["device"] for summary in summaries] == ["cpu", "mps"]


def test_where_no_such_device_is_the_command_says_what_to_do(tmp_path: Path, run_cli: Callable[..., Result]) -> None:
    done = run_cli(*small_audit(FIXTURES / "digits", tmp_path / "out", "--device", "mps"))
    assert done.exit_code == 2 and "sees no Metal device" in done.stderr and "--device cpu" in done.stderr


@pytest.mark.parametrize("gradients", [False, True])
def test_a_device_that_gives_the_processors_numbers_is_taken(monkeypatch: pytest.MonkeyPatch, gradients: bool) -> None:
    asked = network()
    before = {name: value.clone() for name, value in asked.state_dict().items()}
    with use_mps(monkeypatch) as device:
        require_agreement(asked, "mps", 8, gradients=gradients)
        assert device.asked
    assert all(type(p) is nn.Parameter for p in asked.parameters()) and asked.training
    assert all(torch.equal(value, before[name]) for name, value in asked.state_dict().items())


@pytest.mark.parametrize("wrong", ["conv2d", "linear", "batch_norm", "relu"])
@pytest.mark.parametrize("gradients", [False, True])
def test_a_device_that_gives_other_numbers_is_refused(
    monkeypatch: pytest.MonkeyPatch, wrong: str, gradients: bool
) -> None:
    asked = network() if gradients else network().eval()
    with use_mps(monkeypatch, wrong), pytest.raises(ConfigError, match=r"than the processor.*differ by"):
        require_agreement(asked, "mps", 8, gradients=gradients)


def test_nothing_lies_channels_last_on_an_untried_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.zeros(2, 3, 8, 8).to(memory_format=torch.channels_last)
    assert not images.is_contiguous() and not images_on(images, "cpu").is_contiguous()
    with use_mps(monkeypatch):
        there = images_on(images, "mps")
        assert isinstance(there, OnMps) and there.is_contiguous()
        assert all(p.is_contiguous() for p in placed(asked, "mps").parameters())


def test_a_tried_device_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "randn", lambda *_, **__: pytest.fail("nothing is to be compared"))
    require_agreement(network(), "cpu", 8)
