"""A column called `group` is of families, or of something that many items have in common."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from auditor.sources import open_source
from auditor.sources.groups import as_families
from auditor.sources.manifest import Layout

PAIRS = [f"pair {row // 2}" for row in range(200)]
HALVES = ["left", "right"] * 100


def test_small_groups_are_families_and_halves_are_not_unless_the_user_says_so() -> None:
    assert as_families(PAIRS, named=False) == (PAIRS, "")
    assert as_families([*PAIRS[:100], *[""] * 100], named=False)[1] == ""
    groups, note = as_families(HALVES, named=False)
    assert groups is None and "one of its 2 names stands for 100 of 200" in note
    assert as_families(HALVES, named=True) == (HALVES, "")
    assert as_families(None, named=False) == (None, "")


@pytest.mark.parametrize(("groups", "families"), [(PAIRS, True), (HALVES, False)])
def test_a_table_keeps_a_column_that_is_no_family_as_a_cell(tmp_path: Path, groups: list[str], families: bool) -> None:
    frame = pd.DataFrame({"x": range(200), "group": groups, "label": ["a", "b"] * 100})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    table = open_source(str(tmp_path / "rows.csv"), layout=Layout(kind="table"))
    assert (table.groups is not None) == families and table.cells is not None
    assert ("group" in table.cells.columns) != families
    assert any("'group'" in note for note in table.notes) != families
