"""What a first sitting costs and finds: from the review's table alone, and nothing where the model cannot tell."""

from __future__ import annotations

import copy

import pytest
from builders import make_result

from auditor.report.sitting import LOOKS, first_sitting, minutes_of
from auditor.report.tiles import tiles


def _calibration(found: list[tuple[int, float]], **changes: object):
    calibration = copy.deepcopy(make_result().summary["calibration"])
    row = calibration["review"][0]
    calibration["review"] = [
        {**row, "k": k, "expected_found": n, "expected_found_interval": [0.5 * n, 2 * n]} for k, n in found
    ]
    return {**calibration, **changes}


@pytest.mark.parametrize(
    ("found", "looks", "expected", "stop"),
    [
        ([(1, 0.9), (20, 7.0), (50, 9.5), (100, 10.0), (200, 10.2)], 50, 9.5, 50),
        ([(1, 0.9), (20, 7.0), (50, 9.5), (100, 13.0), (200, 25.0)], 50, 9.5, None),
        ([(1, 0.1), (50, 0.4), (200, 0.6)], 50, 0.4, None),  # so little that no depth is a place to stop
        ([(1, 0.9), (12, 2.0)], 12, 2.0, None),  # the whole list is one sitting
        ([(1, 0.9), (7, 1.8), (12, 2.0)], 12, 2.0, 7),
    ],
)
def test_a_sitting_is_fifty_looks_or_all_there_are(found, looks, expected, stop) -> None:
    sitting = first_sitting(_calibration(found))
    assert (sitting.looks, sitting.found, sitting.stop) == (looks, expected, stop)
    assert minutes_of(sitting.looks) == ("About 5 minutes" if looks == LOOKS else "About 2 minutes")


def test_where_the_list_is_never_used_up_it_is_said_where_errors_become_rare() -> None:
    calibration = _calibration([(20, 19.0), (50, 36.0), (100, 43.0), (200, 49.0), (400, 53.0)])
    assert (first_sitting(calibration).stop, first_sitting(calibration).rare) == (None, 200)
    last = tiles({**make_result().summary, "calibration": calibration})[-1]
    assert last.note == "About 5 minutes. After 200 fewer than 1 look in 20 should find one."


def test_where_the_model_cannot_tell_nothing_is_promised() -> None:
    result = make_result()
    found = [(1, 0.9), (50, 9.5), (200, 10.2)]
    for changes in ({"cannot_tell": True}, {"decided": False}, {"review": []}):
        assert first_sitting(_calibration(found, **changes)) is None
        shown = tiles({**result.summary, "calibration": _calibration(found, **changes)})
        assert not any("looks should find" in tile.title for tile in shown)
    assert first_sitting(None) is None


def test_the_head_of_the_page_has_three_figures() -> None:
    shown = tiles(make_result().summary)
    assert [tile.title.split(" in ")[0] for tile in shown][:2] == ["Labels probably wrong", "Labels we flipped, found"]
    assert len(shown) == 3 and "minutes" in shown[2].note


def test_a_sitting_that_finds_next_to_nothing_says_how_many_there_may_be() -> None:
    summary = {**make_result().summary, "calibration": _calibration([(1, 0.1), (50, 0.4), (200, 0.6)])}
    last = tiles(summary)[2]
    assert (last.text, last.between) == ("up to 1 wrong", "0 to 1")
