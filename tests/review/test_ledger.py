"""The ledger: what looks settle, how ledgers and old baselines are read and joined, and what a damaged file gets."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random

import pytest
from baselines import baseline_of
from hypothesis import given
from hypothesis import strategies as st

from auditor.certificate import item_id, make_plan, salt_of
from auditor.errors import DecisionsError
from auditor.review.ledger import Ledger
from auditor.review.looks import Look, latest, settle
from auditor.review.plans import ids_of, without

HASH = "a" * 64
OTHER = "b" * 64


def look(decision: str, reviewer: str = "", final: str | None = None, /, **changes) -> Look:
    return Look(
        **{"hash": HASH, "label": "cat", "decision": decision, "final_label": final, "reviewer": reviewer} | changes
    )


def hashes(n: int) -> list[str]:
    return [f"{i:064x}" for i in range(n)]


def plan(n: int = 40, salt: str = "one"):
    ids = [item_id(hash, "cat") for hash in hashes(n)]
    scores = [i / n for i in range(n)]
    return make_plan(ids, scores, salt=salt_of(salt), spread=0.9, expected=0.01).document()


# --- what looks settle -------------------------------------------------------------------------------------------

KEEP, DOG, BIRD, DROP, UNSURE = (
    ("keep", None),
    ("relabel", "dog"),
    ("relabel", "bird"),
    ("drop", None),
    ("unsure", None),
)


@pytest.mark.parametrize(
    ("said", "status", "decision", "final"),
    [
        ([KEEP], "right", "keep", "cat"),
        ([DOG], "wrong", "relabel", "dog"),
        ([DROP], "wrong", "drop", None),
        ([UNSURE], "undecided", "unsure", None),
        ([DOG, KEEP], "undecided", "unsure", None),
        ([DOG, UNSURE], "undecided", "unsure", None),
        ([KEEP, UNSURE], "undecided", "unsure", None),
        ([DOG, KEEP, DOG], "wrong", "relabel", "dog"),
        ([DOG, KEEP, KEEP], "right", "keep", "cat"),
        ([DOG, KEEP, UNSURE], "undecided", "unsure", None),
        ([DOG, DROP], "wrong", "unsure", None),
        ([DOG, BIRD], "wrong", "unsure", None),
        ([DOG, BIRD, DOG], "wrong", "relabel", "dog"),
        ([DOG, BIRD, KEEP], "wrong", "unsure", None),
        ([DOG, DOG, KEEP, KEEP], "undecided", "unsure", None),
    ],
)
def test_more_than_half_of_the_reviewers_settle_an_item(said, status, decision, final):
    for order in itertools.permutations(range(len(said))):
        found = settle([look(*said[i][:1], f"r{i}", said[i][1]) for i in order])
        assert (found.status, found.decision, found.final_label) == (status, decision, final)
        assert found.reviewers == len(said)


def test_nobody_looked_at_what_was_accepted_or_shown_under_a_made_label():
    assert settle([]) is None
    assert settle([look("accepted"), look("keep", "anna", how="known-wrong")]) is None


def test_of_one_reviewer_the_latest_look_counts():
    early, late = look("relabel", "anna", "dog", time="2026-01-02T10:00:00Z"), look("keep", "anna", time="2026-01-03")
    assert settle([late, early]).status == "right"
    # Half past nine in New York is later than noon in Greenwich.
    noon = look("keep", "anna", time="2026-01-02T12:00:00Z")
    assert settle([noon, look("drop", "anna", time="2026-01-02T09:30:00-05:00")]).status == "wrong"
    assert settle([look("keep", "anna"), look("drop", "anna")]).status == "wrong", "the cautious one at the same moment"


def test_a_look_from_before_its_reviewer_had_a_name_is_no_second_person():
    one = look("relabel", "", "dog", time="2026-01-02")
    assert latest([one, dataclasses.replace(one, reviewer="anna")]) == [dataclasses.replace(one, reviewer="anna")]
    assert settle([one, dataclasses.replace(one, reviewer="anna")]).reviewers == 1
    assert settle([one, dataclasses.replace(one, reviewer="anna", time="2026-01-05")]).reviewers == 2


# --- the file ----------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
LOOKS = st.builds(
    look,
    st.sampled_from(["keep", "drop", "unsure", "accepted"]),
    TEXT,
    hash=st.sampled_from([HASH, OTHER]),
    label=TEXT,
    time=st.sampled_from(["", "2026-01-02", "yesterday", "2026-01-02T03:04:05.000Z"]),
    how=st.sampled_from(["rank", "drawn", "again", "known-wrong"]),
    probability=st.sampled_from([None, 0.25]),
    path=TEXT,
)


@given(st.lists(LOOKS, max_size=6), st.randoms())
def test_what_is_saved_is_read_again_and_order_does_not_matter(tmp_path_factory, looks, rng: random.Random):
    ledger = Ledger(plan(), tuple(looks))
    path = tmp_path_factory.mktemp("ledger") / "l.json"
    ledger.save(path)
    assert Ledger.load(path) == ledger
    rng.shuffle(looks)
    assert Ledger(plan(), tuple(looks)).to_text() == ledger.to_text()


def test_the_file_has_one_look_a_line_sorted():
    looks = [look("keep", hash=OTHER), look("drop", "zoe"), look("relabel", "anna", "dog")]
    lines = Ledger(None, tuple(looks)).to_text().splitlines()
    assert lines[0] == '{"schema_version": 1, "kind": "auditor-ledger", "plan": null,'
    rows = [json.loads(line.rstrip(",")) for line in lines[2:-1]]
    assert [(row["hash"], row["reviewer"]) for row in rows] == [(HASH, "anna"), (HASH, "zoe"), (OTHER, "")]
    assert Ledger().to_text().endswith('"looks": []}\n')


def test_a_baseline_is_read_as_a_ledger(tmp_path):
    path = tmp_path / "auditor-baseline.json"
    words = ["keep", "relabel", "drop", "unsure", "accepted"]
    baseline_of((hash, "dog", word) for hash, word in zip(hashes(5), words, strict=True)).save(path)
    ledger = Ledger.load(path)
    standings = [ledger.standing(hash, "dog") for hash in hashes(5)]
    assert [s and s.decision for s in standings] == ["keep", "keep", "drop", "unsure", None]
    assert standings[1].final_label == "dog" and len(ledger.looks) == 5
    assert {found.time for found in ledger.looks} == {"2025-01-01"}


def test_todays_label_leads_back_to_the_first_one():
    ledger = Ledger(None, (look("relabel", "", "dog"),))
    assert ledger.first_label(HASH, "dog") == "cat" and ledger.standing(HASH, "dog").status == "wrong"
    assert ledger.first_label(HASH, "cat") == "cat" and ledger.standing(HASH, "cat").status == "wrong"
    assert ledger.first_label(HASH, "bird") == "bird" and ledger.standing(HASH, "bird") is None
    assert ledger.standing(OTHER, "dog") is None


def _load(tmp_path, text: str) -> Ledger:
    path = tmp_path / "auditor-ledger.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return Ledger.load(path)


def _text(rows: list[dict], **changes) -> str:
    return json.dumps({"schema_version": 1, "kind": "auditor-ledger", "plan": None, "looks": rows} | changes)


def test_marks_of_a_merge_conflict_are_named_with_their_line(tmp_path):
    lines = Ledger(None, (look("keep"),)).to_text().splitlines()
    text = "\n".join([*lines[:2], "<<<<<<< HEAD", lines[2], "=======", lines[2], ">>>>>>> theirs", lines[3]])
    with pytest.raises(DecisionsError, match="holds a merge conflict at line 3") as caught:
        _load(tmp_path, text)
    assert "\n" not in caught.value.message and "both sides" in caught.value.hint


def test_both_sides_of_a_conflict_may_stay(tmp_path):
    row = look("relabel", "anna", "dog", time="2026-01-02").row()
    assert _load(tmp_path, _text([row, row, {**row, "time": "2026-01-01"}])).looks == (Look(**row),)


ROW = look("relabel", "anna", "dog").row()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (_text([], kind="other"), "is not a ledger"),
        (_text([], schema_version=2), "schema version 2"),
        (_text([], looks={}), "no list of looks"),
        (_text([{k: v for k, v in ROW.items() if k != "how"}]), "look 1 of the ledger"),
        (_text([{**ROW, "x": 1}]), "no others"),
        (_text([{**ROW, "hash": "A" * 64}]), "SHA-256"),
        (_text([{**ROW, "reviewer": 5}]), "must be text"),
        (_text([{**ROW, "decision": "maybe"}]), "none of"),
        (_text([{**ROW, "how": "luck"}]), "none of"),
        (_text([{**ROW, "final_label": "cat"}]), "not another label"),
        (_text([{**ROW, "decision": "keep"}]), "only a relabelled item"),
        (_text([{**ROW, "probability": 2}]), "probability"),
        (_text([{**ROW, "probability": True}]), "probability"),
        ("[]", "is not a ledger"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("\ud800", "not valid JSON|cannot read"),
    ],
)
def test_a_damaged_ledger_gets_one_sentence(tmp_path, text, message):
    with pytest.raises(DecisionsError, match=message) as caught:
        _load(tmp_path, text)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "change",
    [
        {"salt": 1},
        {"reading": "lucky"},
        {"spread": 0},
        {"expected": float("nan")},
        {"checkpoints": [100]},
        {"checkpoints": [0], "reading": "stratified"},
        {"checkpoints": [200, 100], "reading": "stratified"},
        {"strata": []},
        {"strata": [{"weight": 0, "share": 0.1, "credit": 0, "items": ["a" * 16]}]},
        {"strata": [{"weight": 0.1, "share": 0.1, "credit": 0, "items": ["A" * 16]}]},
        {"strata": [{"weight": 0.1, "share": 0.1, "credit": 0, "items": [7]}]},
        {"strata": [7]},
        {"listed": "a" * 16},
        {"listed": ["not an id"]},
    ],
)
def test_a_damaged_plan_gets_one_sentence(tmp_path, change):
    with pytest.raises(DecisionsError, match="the plan of the sample is damaged"):
        _load(tmp_path, _text([], plan=plan() | change))


# --- two ledgers -------------------------------------------------------------------------------------------------


def _drawn(n: int, *, listed: range, reviewer: str, **draw: object) -> Ledger:
    """A reviewer's ledger: some items were looked at before the draw, the next five afterwards."""
    looks = [look("keep", reviewer, hash=hash) for hash in hashes(n)[listed.start : listed.stop + 5]]
    return Ledger(
        without(plan(n) | draw, {item_id(hash, "cat") for hash in hashes(n)[listed.start : listed.stop]}), tuple(looks)
    )


@pytest.mark.parametrize("draw", [{}, {"reading": "stratified", "checkpoints": [10]}], ids=["betting", "stratified"])
def test_ledgers_of_one_draw_become_one_and_what_either_looked_at_before_stays_outside(tmp_path, draw):
    anna = _drawn(40, listed=range(3), reviewer="anna", **draw)
    ben = _drawn(40, listed=range(2, 5), reviewer="ben", **draw)
    both, notes = anna.merged(ben)
    assert notes == () and len(both.looks) == 16
    assert ids_of(both.plan) == {item_id(hash, "cat") for hash in hashes(40)[5:]}
    assert both == ben.merged(anna)[0] == _load(tmp_path, both.to_text())
    assert anna.merged(anna) == (anna, ())
    assert Ledger().merged(anna) == (anna, ()) == anna.merged(Ledger())


def test_of_two_draws_the_first_is_kept_and_that_is_said():
    anna, other = Ledger(plan(), (look("keep", "anna"),)), Ledger(plan(salt="two"), (look("keep", "ben"),))
    both, notes = anna.merged(other)
    assert both.plan == anna.plan and len(both.looks) == 2
    assert len(notes) == 1 and "two different draws" in notes[0] and "first one's sample is kept" in notes[0]
