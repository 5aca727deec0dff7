"""Two who update one baseline at once: both are right, or the second is told what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from builders import make_result
from helpers import PROJECT, names

from auditor.errors import ExitCode, LockedError
from auditor.gate import GateRequest, baselines, run
from auditor.review.baseline import Baseline, BaselineEntry
from auditor.review.cleaned import BASELINE_NAME
from auditor.review.folder import alone

PATIENT = 60.0


@pytest.fixture
def audits(tmp_path: Path) -> dict[str, set[tuple[str, str]]]:
    """Folders of two audits with what each would add to a baseline."""
    added = {}
    for seed, name in enumerate(("one", "two")):
        (tmp_path / name).mkdir()
        make_result(n=200, share_wrong=0.3, seed=seed, thumbnails=0, examples=0).save(tmp_path / name)
        run(tmp_path / name, GateRequest(baseline=tmp_path / f"{name}.json", update_baseline=True))
        added[name] = {(e.hash, e.label) for e in Baseline.load(tmp_path / f"{name}.json").entries}
    assert added["one"] - added["two"] and added["two"] - added["one"]
    return added


def _gate(folder: Path, base: Path) -> subprocess.Popen[str]:
    """A process that updates `base` from the audit in `folder`; `FOLDER.waits` is there once it waits for the lock."""
    program = (
        "import sys, time, pathlib, auditor.gate.baselines as baselining\n"
        f"baselining.PATIENCE, sleep = {PATIENT}, time.sleep\n"
        "time.sleep = lambda seconds: (pathlib.Path(sys.argv[2] + '.waits').touch(), sleep(seconds))\n"
        "from auditor.cli import main\nmain()\n"
    )
    words = ["gate", str(folder), "--baseline", str(base), "--update-baseline"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_two_processes_that_update_one_baseline_lose_nothing(
    tmp_path: Path, audits: dict[str, set[tuple[str, str]]]
) -> None:
    """Both read the baseline and wait for its lock, under which a third adds an entry."""
    base = tmp_path / "base.json"
    Baseline().save(base)
    third = BaselineEntry("a" * 64, "boats", "keep", "third.png", "2025-05-01")
    with baselines.alone(base):
        processes = [_gate(tmp_path / name, base) for name in audits]
        deadline = time.monotonic() + PATIENT
        while not all((tmp_path / f"{name}.waits").exists() for name in audits):
            assert not any(process.poll() for process in processes) and time.monotonic() < deadline
            time.sleep(0.05)
        Baseline.load(base).merged([third]).save(base)
    said = [process.communicate(timeout=PATIENT) for process in processes]
    assert [process.returncode for process in processes] == [1, 1], said
    assert all("added to" in out for out, _ in said)
    found = {(e.hash, e.label) for e in Baseline.load(base).entries}
    assert found == audits["one"] | audits["two"] | {(third.hash, third.label)}
    assert names(tmp_path) == ["base.json", *(f"{name}{end}" for name in audits for end in ("", ".json", ".waits"))]


def test_who_waits_in_vain_is_told_what_to_do_and_writes_nothing(
    tmp_path: Path, audits: dict[str, set[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "PATIENCE", 0.1)
    before = (tmp_path / "one.json").read_bytes()
    with baselines.alone(tmp_path / "one.json"), pytest.raises(LockedError) as raised:
        run(
            tmp_path / "two",
            GateRequest(baseline=tmp_path / "one.json", update_baseline=True, outputs=[f"json={tmp_path}/v.json"]),
        )
    assert raised.value.exit_code is ExitCode.USAGE and "is updating the baseline" in raised.value.message
    assert "run the same command again" in raised.value.hint
    assert (tmp_path / "one.json").read_bytes() == before and not (tmp_path / "v.json").exists()
    run(tmp_path / "two", GateRequest(baseline=tmp_path / "one.json"))  # who only reads waits for nobody


def test_a_baseline_that_a_review_wrote_is_under_the_reviews_lock(
    tmp_path: Path, audits: dict[str, set[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`review apply` replaces its folder whole: an update in between would vanish with the folder it was written to."""
    monkeypatch.setattr(baselines, "PATIENCE", 0.1)
    folder = tmp_path / "out" / "reviewed"
    folder.mkdir(parents=True)
    (folder / "review.json").write_text("{}")
    baseline = folder / BASELINE_NAME
    Baseline().save(baseline)
    with alone(folder), pytest.raises(LockedError):
        run(tmp_path / "one", GateRequest(baseline=baseline, update_baseline=True))
    with baselines.alone(baseline), pytest.raises(LockedError), alone(folder):
        pass
    with baselines.alone(baseline):
        assert names(folder) == ["auditor-baseline.json", "review.json"], "a lock in it would be a stranger's file"
    run(tmp_path / "one", GateRequest(baseline=baseline, update_baseline=True))
    assert {(e.hash, e.label) for e in Baseline.load(baseline).entries} == audits["one"]
