"""Rows of a table to features: every kind of column, what is left out and why, and no way for the label to get in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.data import table_encoder
from auditor.data.leaks import without_copies
from auditor.data.table_columns import plan
from auditor.data.table_encoder import TableEncoder
from auditor.errors import SourceError

N = 60
RNG = np.random.default_rng(0)
NUMBERS = [f"{value:.3f}" for value in RNG.standard_normal(N)]


def table(**columns: list[Any]) -> pd.DataFrame:
    """Cells of text as a source gives them."""
    return pd.DataFrame(
        {
            name: pd.Series([None if v is None else str(v) for v in values], dtype=object)
            for name, values in columns.items()
        }
    )


def said(cells: pd.DataFrame) -> str:
    return " ".join(plan(cells).notes)


def kinds(cells: pd.DataFrame) -> dict[str, str]:
    return {column.name: column.kind for column in plan(cells).columns}


def test_kinds_of_columns() -> None:
    cells = table(
        number=NUMBERS,
        date=[f"2024-0{1 + n % 9}-1{n % 7}T08:00:00Z" for n in range(N)],
        german=[f"1{n % 9}.0{1 + n % 9}.2023" for n in range(N)],
        truth=[n % 2 == 0 for n in range(N)],
        level=["red", "green", "blue"] * (N // 3),
        text=[f"the item {n} is quite good and {n % 7} more words" for n in range(N)],
    )
    assert kinds(cells) == {
        "number": "number",
        "date": "date",
        "german": "date",
        "truth": "truth",
        "level": "level",
        "text": "text",
    }
    assert "Columns of dates were read as numbers of days: 'date', 'german'." in said(cells)
    _, values = TableEncoder.of(cells, "t")
    assert values.dtype == np.float32 and np.isfinite(values).all() and len(values) == N


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([None] * N, "Columns without a value"),
        (["x"] * N, "Columns with one value alone"),
        (["7.0"] * N, "Columns with one value alone"),
        (list(range(1, N + 1)), "name the rows"),
        ([f"user-{n}" for n in range(N)], "name the rows"),
        ([f'["tag {n}"]' for n in range(N)], "Columns of lists or objects"),
        ([f"k{n // 2}" for n in range(N)], "no value stands in 3 rows"),
    ],
)
def test_columns_that_cannot_serve_are_left_out_and_named(values: list[Any], why: str) -> None:
    cells = table(odd=values, number=NUMBERS)
    assert kinds(cells) == {"number": "number"}
    assert why in said(cells) and "'odd'" in said(cells)
    with pytest.raises(SourceError, match=r"(?s)no column of t can serve.*'odd'"):
        TableEncoder.of(cells[["odd"]], "t")


def test_missing_infinite_and_foreign_values_are_counted() -> None:
    values: list[Any] = list(NUMBERS)
    values[3], values[4], values[5], values[6] = None, "NA", "inf", "lots"
    cells = table(x=values)
    text = said(cells)
    assert "infinite numbers, which were read as missing: 'x' (1)" in text
    assert "hold other values too, which were read as missing: 'x' (1, such as 'lots')" in text
    assert "Columns with missing values: 'x' (2)" in text
    _, made = TableEncoder.of(cells, "t")
    assert made.shape == (N, 2) and made[3:7, 1].all() and made[:, 1].sum() == 4, "a column says where"
    assert len(set(made[3:7, 0].tolist())) == 1, "the median stands in"


def test_far_numbers_count_as_far_and_no_further() -> None:
    values = [*NUMBERS[:-2], "1e300", "-1e300"]
    _, made = TableEncoder.of(table(x=values), "t")
    assert made.max() == table_encoder.FARTHEST and made.min() == -table_encoder.FARTHEST


def test_ten_thousand_categories_are_pooled() -> None:
    n = 20_000  # 9,750 pairs and one value of 500 rows
    values = ["common"] * 500 + [f"c{at // 2}" for at in range(n - 500)]
    cells = table(city=values, x=[at % 13 for at in range(n)])
    assert "Columns with many different values: 'city' (9,751)" in said(cells)
    _, made = TableEncoder.of(cells, "t")
    assert made.shape[1] <= 60


def test_wide_tables_are_reduced() -> None:
    rng = np.random.default_rng(1)
    wide = rng.standard_normal((40, table_encoder.MOST_FEATURES + 1))
    cells = table(**{f"g{at}": [f"{v:.4f}" for v in wide[:, at]] for at in range(wide.shape[1])})
    encoder, values = TableEncoder.of(cells, "t")
    assert values.shape == (40, 39) and np.allclose(encoder(cells, "t"), values, atol=1e-3)


def test_equal_rows_give_equal_bytes_and_a_reference_is_read_alike() -> None:
    cells = table(x=NUMBERS, c=["a", "b", "c"] * (N // 3))
    encoder, values = TableEncoder.of(cells, "t")
    assert TableEncoder.of(cells, "t")[1].tobytes() == values.tobytes() == encoder(cells, "t").tobytes()
    other = encoder(table(c=["a", "new", None], x=["0.1", "odd", None], more=["1", "2", "3"]), "ref")
    assert other.shape == (3, values.shape[1]) and np.isfinite(other).all()
    with pytest.raises(SourceError, match="ref has no column 'c', which the audited table has"):
        encoder(table(x=["1"]), "ref")


LABELS = ["yes", "no", "no"] * (N // 3)


def test_a_copy_of_the_label_is_left_out_and_said() -> None:
    code = ["1" if label == "yes" else "0" for label in LABELS]
    for corrected in (0, 1):  # labels that people corrected differ from the copy, and it hides the others all the same
        labels = ["no"] * corrected + LABELS[corrected:]
        kept, notes = without_copies(table(code=code, x=NUMBERS), labels)
        assert list(kept.columns) == ["x"] and "'code'. A copy of the labels hides wrong ones" in notes[0]


def test_what_nearly_tells_the_label_and_a_threshold_are_said_and_kept() -> None:
    near = ["no" if at == 0 else f"{label}{at % 4}" for at, label in enumerate(LABELS)]
    score = [f"{(5 if label == 'yes' else 1) + at / 1000:.3f}" for at, label in enumerate(LABELS)]
    cells = table(smell=["no1", *near[1:]], score=score)
    kept, notes = without_copies(cells, LABELS)
    assert list(kept.columns) == ["smell", "score"]
    assert "nearly every row: 'smell'" in notes[0] and "threshold on these columns" in notes[1]
    assert "'score'" in notes[1]


def test_good_features_and_names_are_no_copies() -> None:
    good = [label if at % 5 else "no" for at, label in enumerate(LABELS)]
    names = [f"{label}-{at // 3}" for at, label in enumerate(LABELS)]
    rare = ["yes" if at == 0 else "no" for at in range(N)]
    kept, notes = without_copies(table(good=good, names=names, rare=rare, x=NUMBERS), LABELS)
    assert list(kept.columns) == ["good", "names", "rare", "x"] and not notes


@given(
    st.lists(
        st.one_of(st.none(), st.text(max_size=8), st.floats().map(str), st.integers().map(str), st.dates().map(str)),
        min_size=4,
        max_size=40,
    )
)
def test_any_column_is_read_or_named(values: list[str | None]) -> None:
    cells = table(odd=[v or None for v in values], x=[f"{at * at % 7}.5" for at in range(len(values))])
    found = plan(cells)
    assert len(found.columns) >= 1
    read = {column.name for column in found.columns}
    assert "odd" in read or "'odd'" in " ".join(found.notes)
    _, made = TableEncoder.of(cells, "t")
    assert np.isfinite(made).all()
