"""Agreement of two reviewers, held against Cohen's own definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.review.agreement import agreement, one_each, others_of
from auditor.review.decisions import Decision

WORDS = ["keep", "cat", "dog", "drop", "unsure"]


def decided(number, word):
    new = word if word in ("cat", "dog") else None
    return Decision(f"{number}.png", "", "bird", "relabel" if new else word, new, "")


def by_definition(pairs):
    kinds = sorted({word for pair in pairs for word in pair})
    observed = sum(a == b for a, b in pairs) / len(pairs)
    expected = sum(
        sum(a == k for a, _ in pairs) / len(pairs) * sum(b == k for _, b in pairs) / len(pairs) for k in kinds
    )
    return None if len(kinds) < 2 else (observed - expected) / (1 - expected)


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)), min_size=1, max_size=12))
def test_agreement_is_cohens(words):
    mine = {f"{n}.png": decided(n, a) for n, (a, _) in enumerate(words)}
    theirs = {"bo": one_each([*(decided(n, b) for n, (_, b) in enumerate(words)), decided(99, "keep")])}
    assert len(others_of(mine, theirs)) == len(words)
    sure = [pair for pair in words if "unsure" not in pair]
    found = agreement(mine, theirs)
    if not sure:
        assert found == []
        return
    assert (found[0]["both"], found[0]["agreed"]) == (len(sure), sum(a == b for a, b in sure))
    assert found[0]["kappa"] == (None if (wanted := by_definition(sure)) is None else pytest.approx(wanted, abs=1e-4))


def test_relabelling_to_what_another_one_kept_is_a_difference():
    mine = one_each([decided(0, "keep")])
    theirs = {"bo": one_each([decided(0, "cat")]), "cy": one_each([decided(0, "keep")])}
    assert [(a["reviewer"], a["agreed"]) for a in agreement(mine, theirs)] == [("bo", 0), ("cy", 1)]
