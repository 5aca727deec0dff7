"""Nothing lost: audits that are killed, starved of disk, locked out or run side by side (`kills.py` does it)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from helpers import PROJECT

KILLS = int(os.environ.get("AUDITOR_KILLS", "54"))
"""How many random kills; `AUDITOR_KILLS=500` for a long night."""
SEED = int(os.environ.get("AUDITOR_KILLS_SEED", "0"))
ALL_FILES = ["audit.json", "evidence.json", "planted.csv", "ranking.csv", "report.html", "verdict.json"]


def _driven(*words: str) -> dict[str, Any]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, str(PROJECT / "tests" / "kills.py"), *words],
        cwd=PROJECT,
        env={**os.environ, **threads},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What the driver has to tell. One driver: each of them has torch to import and a ground to lay."""
    return _driven("random", str(KILLS), str(SEED), "stages", "files", "commands")


def _calm(said: str) -> bool:
    return "Traceback" not in said and "unexpected" not in said


def test_undisturbed_audits_end_well(told: dict[str, Any]) -> None:
    assert told["first"][0] == 0 and told["second"][0] == 0, told["second"]


def test_at_least_fifty_random_kills_lose_nothing(told: dict[str, Any]) -> None:
    rounds = told["random"]
    assert len(rounds) == KILLS
    for one in rounds:
        assert one["faults"] == [], one
        assert one["code"] in ((0, -9) if one["signal"] == "SIGKILL" else (0, 130)), one
        assert _calm(one["said"]), one
    assert sum(one["code"] != 0 for one in rounds) > KILLS / 2, "most kills came before the end"


def test_the_same_command_then_ends_in_byte_identical_files(told: dict[str, Any]) -> None:
    ends = [one["again"] for one in told["random"] if "again" in one]
    assert len(ends) >= KILLS // 9
    for end in ends:
        assert end["code"] == 0 and end["faults"] == [], end


def test_a_kill_at_every_change_of_a_file_leaves_old_or_new_never_a_mixture(told: dict[str, Any]) -> None:
    rounds = told["exact"]
    assert len(rounds) > 12 and rounds[-1]["code"] == 0, "the last one had no change left to die at"
    for one in rounds[:-1]:
        assert one["code"] == -9
    for one in rounds:
        assert one["whole"] and not one["mixed"], one
        assert one["again"] == 0 and one["faults"] == [], one


def test_a_kill_after_a_finished_stage_computes_none_of_it_again(told: dict[str, Any]) -> None:
    rounds = told["stages"]
    assert [len(one["kept"]) for one in rounds] == list(range(1, len(rounds) + 1)) and len(rounds) == 5
    assert rounds[0]["kept"] == ["detection"]
    last = sorted(name.split("-")[0] for name in rounds[-1]["kept"])
    assert last == ["detection", "oddities", "run", "run", "suspicion"]
    for one in rounds:
        assert one["code"] == -9
        assert one["resumed"] == one["kept"], one
        assert one["modes"] == ["0o700"], one
        assert one["again"][0] == 0 and one["faults"] == [], one


@pytest.mark.slow
def test_every_signal_at_every_stage_of_every_kind_of_training_loses_nothing() -> None:
    met: dict[str, set[str]] = {}
    for one in _driven("signals")["signals"]:
        assert one["code"] in (0, 1, 3), one["said"]
        for stop in one["stopped"]:
            assert stop["code"] == (-9 if stop["signal"] == "SIGKILL" else 130), (one["train"], stop)
            assert stop["faults"] == [] and _calm(stop["said"]), (one["train"], stop)
            assert stop["signal"] == "SIGKILL" or "run the same command again" in stop["said"], stop
            met.setdefault(stop["moment"], set()).add(stop["signal"])
        assert one["again"][0] == one["code"] and one["faults"] == [] and one["files"] == ALL_FILES, one
        missing = {f"{stage} begins" for stage in one["stages"]} - met.keys()
        assert not missing, "a stage that no signal was tried in"
    assert len(met) == 23 and all(which == {"SIGINT", "SIGTERM", "SIGKILL"} for which in met.values())


def test_a_kill_at_every_change_of_a_file_by_what_follows_an_audit_loses_nothing(told: dict[str, Any]) -> None:
    kinds = {one["command"]: one for one in told["commands"]}
    assert len(kinds) == 6
    for one in kinds.values():
        assert one["code"] in (0, 1, 3) and one["undisturbed"] == one["code"], one["said"]
        # Every file comes whole: its flush, its mode and its name are three changes to die at.
        files = {"report": 1, "gate": 3, "gate --update-baseline": 2, "gate --init": 1}
        assert len(one["kills"]) >= 3 * files.get(one["command"], 3), one["command"]
        for kill in one["kills"]:
            assert kill["code"] == -9 and kill["again"] == one["code"], (one["command"], kill)
            assert kill["equal"] and kill["data"], (one["command"], kill)
            assert kill["halves"] == [] and kill["strangers"] == [], (one["command"], kill)


def test_two_reviews_applied_at_once_are_told_or_both_right(told: dict[str, Any]) -> None:
    reviews = [one for one in told["commands"] if one["command"].startswith("review")]
    assert len(reviews) == 2
    for one in reviews:
        codes = sorted(code for code, _ in one["at_once"]["ends"])
        assert codes in ([0, 0], [0, 2]) and one["at_once"]["equal"], one["at_once"]
        for code, said in one["at_once"]["ends"]:
            assert code == 0 or "another review is being applied to" in said
        assert one["full"] == {"code": 2, "equal": True, "again": 0}


def test_a_full_disk_is_said_and_the_earlier_files_stay(told: dict[str, Any]) -> None:
    assert len(told["disk"]) == 3
    for one in told["disk"]:
        if one["limit"] == 0:
            assert one["code"] == 2 and one["kept"], one
            continue  # what it said went into a file, which could not grow either
        assert one["code"] == 2 and one["kept"] and _calm(one["said"]), one
        assert "File too large" in one["said"] and (".json" in one["said"] or ".csv" in one["said"]), one
        assert "ulimit -f" in one["said"], "and what to do"
    assert all(one["again"] == 0 and one["faults"] == [] for one in told["disk"])


def test_a_read_only_folder_is_said_and_left_alone(told: dict[str, Any]) -> None:
    one = told["read_only"]
    assert one["code"] == 2 and one["kept"], one
    assert "cannot be written to: Permission denied" in one["said"] and "-o" in one["said"]


def test_two_at_once_on_one_folder_are_told_or_both_right(told: dict[str, Any]) -> None:
    one = told["side_by_side"]["one_folder"]
    codes = sorted(code for code, _ in one["ends"])
    assert codes in ([0, 2], [0, 0]) and one["faults"] == [], one
    for code, said in one["ends"]:
        assert code == 0 or "another audit is writing to" in said


def test_two_at_once_on_one_cache_are_both_right(told: dict[str, Any]) -> None:
    one = told["side_by_side"]["one_cache"]
    assert [code for code, _ in one["ends"]] == [0, 0] and one["same"] and one["faults"] == [], one


@pytest.mark.slow
def test_an_interrupt_in_any_call_from_c_code_ends_the_audit_as_an_interrupt() -> None:
    rounds = _driven("callbacks")["rounds"]
    assert len(rounds) > 100
    for one in rounds:
        assert one["code"] in (0, 130) and one["faults"] == [], one
        assert _calm(one["said"]), one
    assert sum(one["code"] == 0 for one in rounds) < len(rounds) / 10, "nearly every interrupt came before the end"
