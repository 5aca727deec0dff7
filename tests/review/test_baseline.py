"""The baseline file: stable, mergeable, and refused when it is not one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import DecisionsError
from auditor.review.baseline import Baseline, BaselineEntry
from auditor.review.documents import BASELINE_DECISIONS

A, B = "a" * 64, "b" * 64
ENTRY = BaselineEntry(A, "cat", "keep", "x/1.png", "2026-01-02")

entries = st.builds(
    BaselineEntry,
    hash=st.sampled_from([A, B, "0123456789abcdef" * 4]),
    label=st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    decision=st.sampled_from(BASELINE_DECISIONS),
    path=st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    date=st.sampled_from(["", "2026-01-02"]),
)


@given(st.lists(entries, unique_by=lambda e: (e.hash, e.label)))
def test_what_is_saved_is_loaded_again_sorted(tmp_path_factory, found):
    path = tmp_path_factory.mktemp("baseline") / "b.json"
    Baseline(tuple(found)).save(path)
    loaded = Baseline.load(path)
    assert loaded == Baseline(tuple(found))
    assert list(loaded.entries) == sorted(found, key=lambda e: (e.hash, e.label))


def test_one_entry_a_line(tmp_path):
    path = tmp_path / "b.json"
    Baseline((BaselineEntry(B, "dog", "drop"), ENTRY)).save(path)
    lines = path.read_text().splitlines()
    assert lines[0] == '{"schema_version": 1, "kind": "auditor-baseline", "entries": ['
    assert json.loads(lines[1].rstrip(",")) == {
        "hash": A,
        "label": "cat",
        "decision": "keep",
        "path": "x/1.png",
        "date": "2026-01-02",
    }
    assert len(lines) == 4


def test_an_entry_is_about_content_and_label_together():
    others = (BaselineEntry(A, "dog", "drop"), BaselineEntry(B, "cat", "drop"))
    assert Baseline((ENTRY,)).merged(others).entries == (ENTRY, *others)


def test_newer_entries_take_the_place_of_older_ones():
    newer = BaselineEntry(A, "cat", "drop")
    assert Baseline((ENTRY,)).merged([newer]).entries == (newer,)


def _file(*entries, version=1, kind="auditor-baseline"):
    return json.dumps({"schema_version": version, "kind": kind, "entries": list(entries)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("<<<<<<< HEAD", "cannot be read"),
        ("[]", "not a baseline"),
        (_file(version=2), "schema version 2"),
        (_file(kind="auditor-decisions"), "not a baseline"),
        (_file({"hash": A}), "entry 1"),
        (_file({"hash": "x", "label": "a", "decision": "keep"}), "SHA-256"),
        (_file({"hash": A, "label": 1, "decision": "keep"}), "must be text"),
        (_file({"hash": A, "label": "a", "decision": "?"}), "none of"),
        (_file({"hash": A, "label": "a", "decision": "keep", "more": ""}), "may have"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "b.json"
    path.write_text(text)
    with pytest.raises(DecisionsError, match=message):
        Baseline.load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DecisionsError, match="cannot read"):
        Baseline.load(tmp_path / "none.json")


def test_an_image_judged_twice_is_refused():
    with pytest.raises(DecisionsError, match="twice"):
        Baseline((ENTRY, BaselineEntry(A, "cat", "drop")))
