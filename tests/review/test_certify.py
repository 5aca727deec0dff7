"""The certificate: exact where everything is known, bounds elsewhere, and nothing that reassures falsely."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

import pytest
import schemas
from builders import make_result, true_labels
from review_files import by_rank, looks_at, saved, written

from auditor.certificate import Plan
from auditor.certificate.wording import at_most
from auditor.errors import DecisionsError, ResultError
from auditor.result import AuditResult
from auditor.review import Ledger, Look, Wish, apply, certify, draw_sample, read_certificate, write_certificate
from auditor.review.certify import certify_items, in_words, percent
from auditor.review.items import items_of
from auditor.review.tally import Tally

N, WRONG = 200, 0.1
TRUTH = true_labels(n=N, share_wrong=WRONG)


@pytest.fixture(scope="module")
def audit(tmp_path_factory) -> AuditResult:
    return saved(tmp_path_factory.mktemp("audit"), make_result(n=N, share_wrong=WRONG))


def _n_wrong(result: AuditResult, paths=None) -> int:
    rows = zip(result.ranking["path"], result.ranking["label"], strict=True)
    return sum(TRUTH[path] != label for path, label in rows if paths is None or path in paths)


def _look(result, path, /, how="rank", word=None, reviewer="anna", **changes) -> Look:
    label = dict(zip(result.ranking["path"], result.ranking["label"], strict=True))[path]
    right = TRUTH[path]
    said: tuple[Any, Any] = ("keep", None) if label == right else ("relabel", right)
    if word is not None:
        said = (word, None)
    return Look(result.summary["dataset"]["hashes"][path], label, *said, reviewer, "", how, None, path, **changes)


def _looked(result, n: int, *, listed: int = 0, **wish) -> Ledger:
    """A ledger: `listed` looks by rank, then `n` drawn looks by somebody who is always right."""
    before = tuple(_look(result, path) for path in result.ranking["path"].head(listed))
    sample = draw_sample(result, Ledger(None, before), Wish(n=n, **wish))
    drawn = tuple(_look(result, item["path"], "drawn") for item in sample["items"])
    return Ledger(sample["plan"], (*before, *drawn))


def _counts(share: dict) -> tuple[float, ...]:
    return (share["count"], *share["count_interval"], share["count_at_least"], share["count_at_most"])


def _corrected(result: AuditResult, ledger: Ledger) -> AuditResult:
    """The audit of the data with all corrections made."""
    labels = []
    for item in items_of(result, ledger):
        wrong = item.standing is not None and item.standing.decision == "relabel"
        labels.append((item.path, item.standing.final_label if wrong else item.label))
    ranking = result.ranking.assign(label=result.ranking["path"].map(dict(labels)))
    return dataclasses.replace(result, ranking=ranking)


def test_when_all_was_looked_at_everything_is_exact(audit):
    ledger = _looked(audit, N, listed=20)
    found, wrong = certify(audit, ledger), _n_wrong(audit)
    assert set(_counts(found["share"])) == set(_counts(found["today"])) == {wrong}
    assert set(_counts(found["remaining"])) == {0} and found["next"] == []
    assert found["share"]["value"] == wrong / N and found["n"] == N
    assert (found["looks"]["drawn"], found["looks"]["listed"]) == (N - 20, 20)


def test_before_now_and_after_differ_by_what_was_found(audit):
    ledger = _looked(audit, 60, listed=20)
    found, corrected = certify(audit, ledger), certify(_corrected(audit, ledger), ledger)
    n = sum(standing.status == "wrong" for standing in ledger.standings.values())
    assert n > 10
    for key in ("count_at_least", "count_at_most"):
        assert found["today"][key] - found["remaining"][key] == n
    assert found["share"] == found["today"] and found["remaining"] == corrected["remaining"] == corrected["today"]
    assert corrected["share"] == found["share"], "how many were wrong at first does not change by corrections"
    assert found["share"]["count_at_least"] <= _n_wrong(audit) <= found["share"]["count_at_most"]


def test_what_leads_the_list_proves_nothing_about_the_rest(audit):
    listed = certify(audit, _looked(audit, 1, listed=60))
    assert listed["remaining"]["count_at_most"] == N - 61 and listed["looks"]["listed"] == 60


def test_looks_by_rank_after_the_draw_stay_in_the_population(audit):
    ledger = _looked(audit, 40)
    later = ledger.with_looks(tuple(_look(audit, path) for path in audit.ranking["path"].head(30)))
    found = certify(audit, later)
    assert found["looks"]["listed"] == 0 and found["looks"]["drawn"] >= 40
    assert found["looks"]["drawn"] + found["looks"]["drawn_beyond"] == len(later.standings)


def test_looks_behind_a_gap_do_not_count_and_that_is_said(audit):
    ledger = _looked(audit, 40)
    order = [drawn.id for drawn in Plan.from_document(ledger.plan).order()]
    items = {item.id: item for item in items_of(audit, ledger)}
    gap = items[order[10]]
    found = certify(audit, Ledger(ledger.plan, tuple(look for look in ledger.looks if look.path != gap.path)))
    assert (found["looks"]["drawn"], found["looks"]["drawn_beyond"]) == (10, 29)
    assert any("29 looks do not count yet" in note for note in found["notes"])


def test_undecided_items_count_against_the_claim(audit):
    ledger = _looked(audit, N)
    path = next(p for p, label in zip(*(audit.ranking[c] for c in ("path", "label")), strict=True) if TRUTH[p] == label)
    doubt = ledger.with_looks((_look(audit, path, word="unsure", reviewer="ben"),))
    found = certify(audit, doubt)
    assert (found["share"]["count_at_least"], found["share"]["count_at_most"]) == (_n_wrong(audit), _n_wrong(audit) + 1)
    assert found["remaining"]["count_at_most"] == 1 and found["looks"]["undecided"] == 1
    assert any("1 item is undecided" in sentence for sentence in found["assumptions"])


def test_a_wrong_label_without_an_agreed_remedy_stays_wrong(audit):
    ledger = _looked(audit, N)
    wrong = next(look for look in ledger.looks if look.decision == "relabel")
    dispute = dataclasses.replace(wrong, reviewer="ben", decision="drop", final_label=None)
    found = certify(audit, ledger.with_looks((dispute,)))
    assert set(_counts(found["remaining"])) == {1}


def test_items_that_came_or_changed_count_as_wrong_above_and_as_right_below(audit):
    few = dataclasses.replace(audit, ranking=audit.ranking.iloc[:-5])
    ledger = _looked(few, N)
    before, after = certify(few, ledger), certify(audit, ledger)
    assert after["looks"]["changed"] == 5
    assert after["remaining"]["count_at_most"] == before["remaining"]["count_at_most"] + 5
    assert after["remaining"]["count_at_least"] == before["remaining"]["count_at_least"]
    label = audit.ranking["label"].copy()
    label.iloc[0] = "boats" if label.iloc[0] == "tables" else "tables"
    changed = dataclasses.replace(few, ranking=few.ranking.assign(label=label.iloc[:-5]))
    again = certify(changed, _looked(few, 100, listed=0))
    assert again["looks"]["changed"] <= 1


def test_a_label_changed_again_reopens_its_item(audit):
    ledger = _looked(audit, N)
    three = dataclasses.replace(audit, ranking=audit.ranking.assign(label=["lamps", *audit.ranking["label"].iloc[1:]]))
    found = certify(three, ledger)
    assert found["looks"]["changed"] == 1 and found["today"]["count_at_most"] >= 1


def test_items_gone_unseen_cannot_make_the_figure_better(audit):
    ledger = _looked(audit, 60)
    unseen = [item.path for item in items_of(audit, ledger) if item.standing is None][:20]
    less = dataclasses.replace(audit, ranking=audit.ranking[~audit.ranking["path"].isin(unseen)])
    before, after = certify(audit, ledger), certify(less, ledger)
    assert after["remaining"]["count_at_most"] >= before["remaining"]["count_at_most"]
    assert after["remaining"]["count_at_least"] <= before["remaining"]["count_at_least"]
    assert any("20 items of the sample's population are gone" in note for note in after["notes"])


def test_deleting_a_wrong_label_that_was_looked_at_is_a_correction(audit):
    ledger = _looked(audit, 60)
    wrong = [look.path for look in ledger.looks if look.decision == "relabel"]
    less = dataclasses.replace(audit, ranking=audit.ranking[~audit.ranking["path"].isin(wrong)])
    assert certify(less, ledger)["today"]["count_at_most"] == certify(audit, ledger)["remaining"]["count_at_most"]


def test_what_a_reference_settled_counts_as_it_says(audit):
    split = audit.ranking["split"].copy()
    split.iloc[:10] = "reference"
    wrong = [{"path": path} for path in audit.ranking["path"].iloc[:3]]
    reference = {**audit.summary["reference"], "settled": {"n": 10, "wrong": wrong}}
    settled = dataclasses.replace(
        audit, ranking=audit.ranking.assign(split=split), summary={**audit.summary, "reference": reference}
    )
    found = certify(settled, _looked(settled, N))
    rest = _n_wrong(audit, set(audit.ranking["path"].iloc[10:]))
    assert set(_counts(found["share"])) == {rest + 3} and set(_counts(found["remaining"])) == {3}


def test_misses_that_were_measured_widen_the_claim_and_others_are_named(audit):
    ledger = _looked(audit, 100, listed=20)
    blind = certify(audit, ledger)
    assert "Misses were not measured" in blind["assumptions"][0]
    share = at_most(blind["remaining"]["at_most"] / 0.95)
    assert f"where they miss one in 20, about {share} in place of" in blind["assumptions"][0]
    shown = [
        _look(audit, p, "known-wrong", "drop" if i % 5 else "keep") for i, p in enumerate(audit.ranking["path"][-30:])
    ]
    found = certify(audit, ledger.with_looks(tuple(shown)))
    assert (found["looks"]["known_wrong"], found["looks"]["known_wrong_found"]) == (30, 24)
    assert ", if no look missed a wrong label" in in_words(blind) and "if no look missed" not in in_words(found)
    assert found["share"]["count_at_most"] > blind["share"]["count_at_most"]
    assert found["share"]["count_at_least"] == blind["share"]["count_at_least"]
    none = ledger.with_looks(tuple(dataclasses.replace(look, decision="keep") for look in shown))
    assert certify(audit, none)["share"]["at_most"] == 1.0, "reviewers who see nothing prove nothing"


def test_second_looks_are_counted_and_their_lack_is_said(audit):
    ledger = _looked(audit, 60, listed=20)
    wrong = [look for look in ledger.looks if look.decision == "relabel"]
    assert any(f"0 of {len(wrong)} items called wrong" in s for s in certify(audit, ledger)["assumptions"])
    second = ledger.with_looks(tuple(dataclasses.replace(look, reviewer="ben", how="again") for look in wrong))
    found = certify(audit, second)
    assert found["looks"]["second"] == len(wrong)
    assert not any("If a single reviewer" in sentence for sentence in found["assumptions"])


def test_a_class_is_named_once_enough_of_it_was_looked_at(audit):
    assert certify(audit, _looked(audit, 30))["by_class"] == []
    rows = certify(audit, _looked(audit, N, listed=20))["by_class"]
    assert [row["label"] for row in rows] == ["boats", "tables"] and sum(row["n"] for row in rows) == N
    for row in rows:
        paths = set(audit.ranking["path"][audit.ranking["label"] == row["label"]])
        assert set(_counts(row["share"])) == {_n_wrong(audit, paths)}


def test_a_stratified_sample_speaks_at_its_checkpoint(audit):
    ledger = _looked(audit, 100, reading="stratified")
    found = certify(audit, ledger)
    assert found["reading"] == "stratified" and found["looks"]["drawn"] == 100
    assert found["share"]["count_at_least"] <= _n_wrong(audit) <= found["share"]["count_at_most"] < N - 90
    first = next(item.path for item in items_of(audit, ledger) if item.standing is not None)
    short = certify(audit, Ledger(ledger.plan, tuple(look for look in ledger.looks if look.path != first)))
    assert any("The first checkpoint is at 100 looks" in note for note in short["notes"])


def test_the_claim_holds_in_draws_of_many_data_sets(audit):
    """One-sided 95%: of 60 draws, about three at most may miss on either side."""
    low = high = 0
    truth, items = _n_wrong(audit), None
    for seed in range(60):
        data = {**audit.summary["dataset"], "content_hash": str(seed)}
        one = dataclasses.replace(audit, summary={**audit.summary, "dataset": data})
        ledger = _looked(one, 50, listed=10)
        items = items_of(one, ledger)
        share = Tally(Plan.from_document(ledger.plan), items, ledger).before()
        low, high = low + (share["count_at_least"] > truth), high + (share["count_at_most"] < truth)
    assert low <= 8 and high <= 8


def test_more_looks_bring_it_below_the_next_targets(audit):
    found = certify(audit, _looked(audit, 100, listed=20))
    targets = [row["target"] for row in found["next"]]
    assert targets == sorted(targets, reverse=True)[:3] and targets[0] < found["remaining"]["at_most"]
    looks = [row["looks"] for row in found["next"]]
    assert all(a is None or b is None or a <= b for a, b in itertools.pairwise(looks))


def test_nothing_is_certified_without_a_drawn_sample_or_about_other_data(audit):
    with pytest.raises(DecisionsError, match="no drawn item was looked at"):
        certify(audit, Ledger())
    other = make_result(n=20, seed=5)
    hashes = dict.fromkeys(other.ranking["path"], "c" * 64)
    other.summary["dataset"]["hashes"] = hashes
    with pytest.raises(DecisionsError, match="drawn from another data set"):
        certify_items("id", "hash", items_of(other, Ledger()), Ledger(_looked(audit, 10).plan))


# --- the file ----------------------------------------------------------------------------------------------------


def test_the_file_has_exactly_the_keys_of_its_schema(audit, tmp_path):
    jsonschema = pytest.importorskip("jsonschema")
    document = certify(audit, _looked(audit, 60, listed=5))
    written_at = write_certificate(tmp_path, document)
    jsonschema.Draft202012Validator(schemas.schema("certificate")).validate(json.loads(written_at.read_text()))
    assert read_certificate(tmp_path, audit) == document
    assert certify(audit, _looked(audit, 60, listed=5)) == document


def test_a_certificate_that_cannot_be_used(audit, tmp_path):
    said: list[str] = []
    assert read_certificate(tmp_path, audit, said.append) is None and said == []
    document = certify(audit, _looked(audit, 60))
    write_certificate(tmp_path, {**document, "content_hash": "0" * 64})
    assert read_certificate(tmp_path, audit, said.append) is None
    assert len(said) == 1 and "another data set, so it is not used" in said[0]
    for damaged in (
        "{",
        "[]",
        json.dumps({**document, "schema_version": 2}),
        json.dumps({"kind": "auditor-certificate"}),
    ):
        (tmp_path / "certificate.json").write_text(damaged)
        with pytest.raises(ResultError):
            read_certificate(tmp_path, audit)


def test_a_share_in_words_never_says_zero_for_more_than_nothing():
    said = {0: "0%", 1e-9: "0.001%", 0.0004: "0.04%", 0.012: "1.2%", 0.095: "9.5%", 0.5: "50%", 1: "100%"}
    assert {share: percent(share) for share in said} == said


# --- by the command ----------------------------------------------------------------------------------------------


def test_the_round_by_the_command(tmp_path, run_cli):
    result = saved(tmp_path, make_result(n=N, share_wrong=WRONG))
    out = tmp_path / "out"
    listed = by_rank(result, 20, TRUTH)
    run_cli("review", "sample", out, "-n", 60)
    sample = json.loads((out / "sample.json").read_text())
    drawn = [
        entry for entry in looks_at(result, sample["items"], TRUTH) if entry["path"] not in {e["path"] for e in listed}
    ]
    file = written(tmp_path / "decisions.json", result, [*listed, *drawn])
    done = run_cli("review", "certify", out, file, "--json", tmp_path / "c.json")
    assert done.exit_code == 0, done.stderr
    assert "before the corrections" in done.stdout and "left after them: at most" in done.stdout
    assert "more looks" in done.stdout and "Misses were not measured" in done.stdout
    found = json.loads((out / "certificate.json").read_text())
    assert found == json.loads((tmp_path / "c.json").read_text()) and found["looks"]["listed"] == 20
    assert not (out / "auditor-ledger.json").exists() and not (out / "reviewed").exists()

    applied = apply(out, file)
    assert applied.certificate["today"] == applied.certificate["remaining"]
    assert json.loads((out / "certificate.json").read_text()) == found
    beside = json.loads((applied.folder / "certificate.json").read_text())
    assert beside == applied.certificate and "left after them: at most" in applied.text
    assert (out / "auditor-ledger.json").read_bytes() == applied.ledger.read_bytes()
    again = run_cli("review", "certify", out)
    assert again.exit_code == 0 and json.loads((out / "certificate.json").read_text()) == found
    piped = run_cli("review", "certify", out, "--json", "-")
    assert json.loads(piped.stdout) == found and "before the corrections" in piped.stderr
    assert in_words(found) in piped.stderr


def test_the_certificate_of_the_cleaned_data_names_their_content(tmp_path, run_cli):
    """The next audit of `cleaned.csv` has the same content hash, so that the certificate speaks of it."""
    from auditor.sources import open_source
    from auditor.sources.base import content_hash

    result = saved(tmp_path, make_result(n=N, share_wrong=WRONG))
    run_cli("review", "sample", tmp_path / "out", "-n", 60)
    sample = json.loads((tmp_path / "out" / "sample.json").read_text())
    applied = apply(tmp_path / "out", written(tmp_path / "d.json", result, looks_at(result, sample["items"], TRUTH)))
    frame = open_source(str(applied.data)).frame
    hashes = [result.summary["dataset"]["hashes"][path] for path in frame["path"]]
    assert applied.certificate["content_hash"] == content_hash(frame["path"], hashes, frame["label"])


@pytest.mark.parametrize(
    ("words", "message"),
    [([], "nothing can be certified"), (["nowhere.json"], "cannot read the decisions file")],
)
def test_the_command_says_what_is_missing(tmp_path, run_cli, words, message):
    saved(tmp_path, make_result(n=40))
    done = run_cli("review", "certify", tmp_path / "out", *words)
    assert done.exit_code == 2 and message in done.stderr and not (tmp_path / "out" / "certificate.json").exists()
