"""The baseline as a file: round trip, merge-friendly text, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.errors import AuditorError
from auditor.review.baseline import Baseline, BaselineEntry

HASHES = ["a" * 64, "b" * 64, "c" * 64]
ENTRIES = st.lists(
    st.builds(
        BaselineEntry,
        hash=st.sampled_from(HASHES),
        label=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        decision=st.sampled_from(["keep", "relabel", "drop", "unsure", "accepted"]),
        path=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        date=st.just("2025-05-01"),
    ),
    max_size=8,
    unique_by=lambda entry: (entry.hash, entry.label),
)


@settings(max_examples=40, deadline=None)
@given(entries=ENTRIES, seed=st.randoms())
def test_a_baseline_comes_back_and_does_not_depend_on_the_order_of_its_entries(
    tmp_path_factory: pytest.TempPathFactory, entries: list[BaselineEntry], seed: object
) -> None:
    folder = tmp_path_factory.mktemp("baseline")
    Baseline(tuple(entries)).save(folder / "one.json")
    Baseline(tuple(reversed(entries))).save(folder / "two.json")
    assert (folder / "one.json").read_bytes() == (folder / "two.json").read_bytes()
    loaded = Baseline.load(folder / "one.json")
    assert set(loaded.entries) == set(entries)
    assert {(entry.hash, entry.label) for entry in loaded.entries} == {(entry.hash, entry.label) for entry in entries}
    json.loads((folder / "one.json").read_text("utf-8"))


def test_one_entry_more_is_one_line_more(tmp_path: Path) -> None:
    entries = [BaselineEntry(h, "boats", "keep", f"{i}.png", "2025-05-01") for i, h in enumerate(HASHES)]
    Baseline(tuple(entries[:2])).save(tmp_path / "before.json")
    Baseline(tuple(entries)).save(tmp_path / "after.json")
    before, after = ((tmp_path / f"{name}.json").read_text().splitlines() for name in ("before", "after"))
    assert len(after) == len(before) + 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "is not a baseline"),
        ('{"kind": "other"}', "is not a baseline"),
        ('{"kind": "auditor-baseline", "schema_version": 2, "entries": []}', "schema version 2"),
        ('{"kind": "auditor-baseline", "schema_version": 1}', "no list of entries"),
        ('{"kind": "auditor-baseline", "schema_version": 1, "entries": [{"hash": "x"}]}', "entry 1 of the baseline"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_what_is_not_a_baseline_is_refused_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(AuditorError) as raised:
        Baseline.load(tmp_path / "b.json")
    assert says in raised.value.message and "\n" not in raised.value.message
