"""Kinds of oddities: each is asked where it can be, and what it found stands in the files, on the page, in the gate."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from builders import make_result

from auditor.errors import ConfigError, ResultError
from auditor.gate import evaluate, register_rule
from auditor.gate.levels import rules_from
from auditor.gate.rules.oddity import oddity_rule
from auditor.oddities import Audited, Column, Item, Kind, Oddity, all_kinds, look, register_kind
from auditor.oddities.contract import ITEMS
from auditor.oddities.look import documents, pictured, with_columns
from auditor.report.page import render
from auditor.result import RANKING_COLUMNS, AuditResult
from auditor.result.nouns import noun_of

N = 40


def _audited(**other: Any) -> Audited:
    """What kinds see of forty items in two classes, without facts of pictures and without an estimate."""
    table = SimpleNamespace(given=SimpleNamespace(features=None), kind="text")
    data = SimpleNamespace(
        paths=tuple(f"{i:02d}" for i in range(N)), classes=("a", "b"), labels=np.arange(N) % 2, table=table
    )
    detection = SimpleNamespace(p_mislabelled=None, rivals=None, reason="")
    return cast(Audited, Audited(data, np.arange(N), None, detection, 0, **other))  # type: ignore[arg-type]


def _everything(audited: Audited) -> Oddity:
    items = tuple(Item(row, "an odd image") for row in range(N))
    return Oddity("Every image is odd.", value=float(N), items=items, values=np.arange(N) / 3)


KIND = Kind("all_odd", "All odd", "Images that are there.", (), _everything, Column("oddness", "numbers", "Odd image."))


def test_a_kind_is_asked_and_told_in_the_words_of_the_items() -> None:
    with register_kind(KIND):
        found = look(_audited())
        (document,) = [one for one in documents(_audited(), found, noun_of("text")) if one["name"] == "all_odd"]
    assert document["outcome"] == "told" and document["summary"] == "Every text is odd."
    assert document["column"] == {"name": "oddness", "holds": "numbers", "meaning": "Odd text."}
    assert len(document["items"]) == ITEMS and document["items"][1] == {
        "path": "01",
        "label": "b",
        "said": "an odd text",
    }
    assert pictured(_audited().data, {"all_odd": found["all_odd"]}) == list(_audited().data.paths[:ITEMS])


def test_a_kind_that_lacks_something_is_left_out_and_says_so() -> None:
    for need, says in (("pictures", "it needs pixels"), ("estimate", "it needs an estimate of wrong labels")):
        with register_kind(dataclasses.replace(KIND, needs=(need,))):  # type: ignore[arg-type]
            found = look(_audited())
            document = documents(_audited(), found, noun_of("text"))[-1]
            ranking = with_columns(pd.DataFrame({"path": ["03", "01"]}), _audited().data, found)
        assert "all_odd" not in found and document["outcome"] == "left out" and says in document["summary"]
        assert ranking["oddness"].isna().all(), "the column is there, and empty"


def test_the_column_follows_the_ranking() -> None:
    with register_kind(KIND):
        ranking = with_columns(pd.DataFrame({"path": ["03", "01"]}), _audited().data, look(_audited()))
    assert ranking["oddness"].tolist() == [1.0, 1 / 3]


def test_a_foreign_kind_that_fails_or_takes_a_name_is_named() -> None:
    def broken(audited: Audited) -> Oddity:
        raise KeyError("x")

    with register_kind(dataclasses.replace(KIND, find=broken)), pytest.raises(ConfigError, match="'all_odd' failed"):
        look(_audited())
    for column in ("path", "Odd one", "=1"):
        named = dataclasses.replace(KIND, column=Column(column, "numbers", ""))
        with register_kind(named), pytest.raises(ConfigError, match="all_odd"):
            all_kinds()


def test_the_study_knows_none_and_an_old_result_has_none(tmp_path: Path) -> None:
    result = make_result(40, thumbnails=2)
    result.save(tmp_path)
    text = (tmp_path / "audit.json").read_text().replace('"oddities"', '"other"')
    (tmp_path / "audit.json").write_text(text)
    old = AuditResult.load(tmp_path)
    assert old.summary["oddities"] == [] and "What else is wrong" not in render(old)
    assert evaluate(old, rules_from({})).verdict


def _with_column(result: AuditResult, name: str, holds: str, values: Any) -> AuditResult:
    first, *others = result.summary["oddities"]
    column = {"name": name, "holds": holds, "meaning": ""}
    summary = {**result.summary, "oddities": [{**first, "column": column}, *others]}
    return AuditResult(cast(Any, summary), result.ranking.assign(**{name: values}), result.planted, result.evidence)


@pytest.mark.parametrize(("holds", "values"), [("numbers", [0.5, np.nan] * 20), ("words", ["=1+1", ""] * 20)])
def test_columns_of_oddities_come_back(tmp_path: Path, holds: str, values: Any) -> None:
    result = _with_column(make_result(40, thumbnails=2), "oddness", holds, values)
    result.save(tmp_path)
    again = AuditResult.load(tmp_path)
    assert tuple(again.ranking.columns) == (*RANKING_COLUMNS, "oddness")
    pd.testing.assert_series_equal(again.ranking["oddness"], result.ranking["oddness"], check_dtype=False)
    text = (tmp_path / "audit.json").read_text()
    for other in ('"oddness2"', '"path"', "7"):
        (tmp_path / "audit.json").write_text(text.replace('"oddness"', other))
        with pytest.raises(ResultError):
            AuditResult.load(tmp_path)


RULE = oddity_rule("odd_ones", "Odd ones", "Images that are unlike all others.", "count", "Look at them.")


def test_a_rule_is_off_until_it_has_a_level() -> None:
    result = make_result(60, thumbnails=2)
    with register_rule(RULE):
        silent = evaluate(result, rules_from({}))
        assert "odd_ones" not in {one.rule for one in silent.rules} and silent.switched_off == ()
        for level, says in ((13, "FAIL"), (14, "PASS")):
            judged = evaluate(result, rules_from({"odd_ones": {"fail": level}}))
            (outcome,) = [one for one in judged.rules if one.rule == "odd_ones"]
            assert outcome.verdict == says and outcome.measured == 14 and outcome.evidence[0]["reason"]
        with pytest.raises(ConfigError, match="has no level"):
            rules_from({"odd_ones": {"enabled": True}})
        assert rules_from({"odd_ones": {"enabled": False}})


def test_a_rule_is_undecided_where_nobody_can_tell_or_nobody_looked() -> None:
    result = make_result(60, thumbnails=2)
    for name, says in (("even_ones", "Nobody can tell"), ("lost_ones", "needs pixels"), ("no_ones", "not look")):
        with register_rule(oddity_rule(name, "T", "A.", "count", "")):
            judged = evaluate(result, rules_from({name: {"fail": 0}}))
        assert judged.rules[-1].verdict == "UNDECIDED" and says in judged.rules[-1].message


def test_the_page_folds_what_was_found() -> None:
    page = render(make_result(60))
    section = page[page.index('<section id="oddities"') :].split("</section>")[0]
    assert section.count("<details") == 2 and " open" not in section
    assert "14 images are odd" in section and "Lost ones" in section and section.count("<figure") == 12
