"""A certificate takes the place of the audit's estimate: what it decides, and what it leaves open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from baselines import baseline_of
from test_measures_and_verdict import clean_result, suspects, with_share

from auditor.certificate.documents import CertificateDocument
from auditor.errors import DecisionsError, ResultError
from auditor.gate import GateRequest, Judgement, RuleOutcome, default_rules, evaluate, init_file, run, run_init
from auditor.gate.levels import rules_from
from auditor.result import AuditResult
from auditor.review import write_certificate
from auditor.review.ledger import Ledger
from auditor.review.looks import Look


def proven(value: float, at_least: float, at_most: float, n: int = 400) -> Any:
    """A proven share. The two-sided interval is a little wider than the one-sided bounds."""
    interval = [max(0.0, at_least - 0.002), min(1.0, at_most + 0.004)]
    return {
        "value": value,
        "interval": interval,
        "at_least": at_least,
        "at_most": at_most,
        "count": n * value,
        "count_interval": [n * end for end in interval],
        "count_at_least": n * at_least,
        "count_at_most": n * at_most,
    }


def certificate_of(result: AuditResult, today: Any, **changes: Any) -> CertificateDocument:
    """A certificate of this audit's data set."""
    looks = {"drawn": 320, "drawn_beyond": 0, "listed": 40, "wrong": 1, "undecided": 0, "second": 1}
    document: Any = {
        "schema_version": 1,
        "kind": "auditor-certificate",
        "audit_id": result.audit_id,
        "content_hash": result.summary["dataset"]["content_hash"],
        "n": len(result.ranking),
        "confidence": 0.95,
        "reading": "betting",
        "share": proven(0.1, 0.05, 0.2),
        "remaining": today,
        "today": today,
        "by_class": [],
        "looks": {**looks, "known_wrong": 0, "known_wrong_found": 0, "changed": 0},
        "next": [{"target": 0.02, "looks": 120, "likely": 300}, {"target": 0.01, "looks": 280, "likely": None}],
        "method": "",
        "assumptions": [],
        "notes": [],
    }
    return document | changes  # type: ignore[no-any-return]


def judged(result: AuditResult, certificate: CertificateDocument, rules: Any = None) -> dict[str, RuleOutcome]:
    verdict = evaluate(result, rules or default_rules(), certificate=certificate)
    return {outcome.rule: outcome for outcome in verdict.rules}


@pytest.mark.parametrize(
    ("at_least", "at_most", "expected"),
    [
        (0.0, 0.02, Judgement.PASS),
        (0.0, 0.021, Judgement.WARN),
        (0.0, 0.05, Judgement.WARN),
        (0.0, 0.051, Judgement.UNDECIDED),
        (0.05, 0.2, Judgement.UNDECIDED),
        (0.051, 0.2, Judgement.FAIL),
    ],
)
def test_each_one_sided_bound_decides_whatever_the_model_estimates(
    at_least: float, at_most: float, expected: Judgement
) -> None:
    for result in (with_share(0.3, 0.2, 0.4), clean_result(calibrated=False)):
        result.summary["influence"]["solves"][0].update(converged=False)
        outcome = judged(result, certificate_of(result, proven(at_least, at_least, at_most)))["wrong_labels"]
        assert outcome.verdict is expected
        assert "t most " in outcome.message and "(95%, one-sided)" in outcome.message
        assert "certified by 320 drawn looks and 40 at the head of the list" in outcome.message


def test_an_undecided_certificate_names_its_own_next_looks() -> None:
    result = clean_result()
    outcome = judged(result, certificate_of(result, proven(0.02, 0.0, 0.06)))["wrong_labels"]
    assert outcome.verdict is Judgement.UNDECIDED and outcome.looks == 120
    assert (
        "120 more looks prove at most 2% if none finds a wrong label, about 300 if wrong labels go on"
        in outcome.message
    )
    assert "`auditor review sample OUT -n 120` draws them" in outcome.message
    strict = rules_from({"wrong_labels": {"fail": 0.005}})
    outcome = judged(result, certificate_of(result, proven(0.02, 0.0, 0.06)), strict)["wrong_labels"]
    assert outcome.verdict is Judgement.UNDECIDED and outcome.looks is None
    assert "names no number of looks" in outcome.message


def test_the_data_as_they_lie_are_judged_and_not_as_they_would_be_corrected() -> None:
    result = clean_result()
    certificate = certificate_of(result, proven(0.1, 0.06, 0.2), remaining=proven(0.0, 0.0, 0.01))
    outcome = judged(result, certificate)["wrong_labels"]
    assert outcome.verdict is Judgement.FAIL
    assert "corrections that were found are not applied here: audit the data set that" in outcome.message


def test_new_and_changed_images_are_told() -> None:
    result = clean_result()
    certificate = certificate_of(result, proven(0.0, 0.0, 0.04))
    certificate["looks"]["changed"] = 12
    said = judged(result, certificate)["wrong_labels"].message
    assert "12 images are new or changed since and count as wrong" in said


def test_a_bound_on_all_labels_bounds_every_class_and_a_class_of_its_own_counts() -> None:
    result = clean_result()
    outcome = judged(result, certificate_of(result, proven(0.0, 0.0, 0.02)))["class_share"]
    assert outcome.verdict is Judgement.PASS and "at most 4% of them, certified by looks" in outcome.message
    wide = certificate_of(result, proven(0.0, 0.0, 0.2))
    assert judged(result, wide)["class_share"].verdict is Judgement.UNDECIDED
    rows: Any = [
        {"label": label, "n": 200, "looks": 60, "share": proven(0.0, 0.0, 0.05, n=200)} for label in result.classes
    ]
    assert judged(result, {**wide, "by_class": rows})["class_share"].verdict is Judgement.PASS
    result.summary["calibration"]["by_class"][0].update(share=0.35, share_interval=[0.3, 0.39])
    assert judged(result, wide)["class_share"].verdict is Judgement.FAIL, "the estimate may still fail a class"
    result.summary["influence"]["solves"][0].update(converged=False)
    assert judged(result, wide)["class_share"].verdict is Judgement.UNDECIDED, "not where it cannot be believed"


def test_a_weak_audit_only_warns_beside_a_certificate() -> None:
    result = clean_result()
    result.summary["recovery"]["rankings"]["suspicion"]["recall_at_k"] = {"value": 0.05, "interval": [0.0, 0.1]}
    result.summary["calibration"]["cannot_tell"] = True
    outcomes = judged(result, certificate_of(result, proven(0.0, 0.0, 0.01)))
    assert outcomes["recovery"].verdict is Judgement.WARN
    assert {outcomes[n].verdict for n in ("wrong_labels", "class_share", "new_suspects")} == {Judgement.PASS}
    many = suspects(result, [0.99] * 30)
    verdict = evaluate(many, default_rules(), baseline_of([]), certificate_of(many, proven(0.0, 0.0, 0.01)))
    assert next(o.verdict for o in verdict.rules if o.rule == "new_suspects") is Judgement.WARN


def test_init_reads_the_certificate() -> None:
    result = clean_result()
    text = init_file(result, certificate_of(result, proven(0.0, 0.0, 0.3)))
    assert 'undecided = "warn"' in text and "120 more looks" in text


def test_the_certificate_in_the_folder_is_found_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = with_share(0.3, 0.2, 0.4)
    (tmp_path / "out").mkdir()
    result.save(tmp_path / "out")
    assert "Certificate" not in run("out").stdout.partition("Levels:")[2]
    write_certificate(tmp_path / "out", certificate_of(result, proven(0.0, 0.0, 0.01)))
    done = run("out")
    assert done.verdict is not None and done.verdict.rules[0].verdict is Judgement.PASS
    assert "Certificate: 320 drawn looks." in done.stdout
    assert "written" in run_init("out").stdout
    write_certificate(tmp_path / "out", certificate_of(result, proven(0.0, 0.0, 0.01), content_hash="another"))
    done = run("out")
    assert done.verdict is not None and done.verdict.rules[0].verdict is Judgement.FAIL
    assert "speaks of another data set, so it is not used." in done.stdout
    (tmp_path / "out" / "certificate.json").write_text("{")
    with pytest.raises(ResultError, match="certificate"):
        run("out")


def test_a_ledger_is_a_baseline_and_is_never_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = suspects(clean_result(), [0.99] * 6)
    hashes, rows = result.summary["dataset"]["hashes"], result.ranking.head(6)
    keys = [(hashes[row.path], str(row.label)) for row in rows.itertuples()]
    other = [next(c for c in result.classes if c != label) for _, label in keys]
    looks = (
        Look(*keys[0], "keep", reviewer="a", time="2025-01-01"),
        Look(*keys[1], "accepted"),
        Look(*keys[2], "relabel", final_label=other[2], reviewer="a", time="2025-01-01"),
        Look(keys[3][0], other[3], "relabel", final_label=keys[3][1], reviewer="a", time="2025-01-01"),
    )
    Ledger(None, looks).save("ledger.json")
    verdict = run(result, GateRequest(baseline="ledger.json")).verdict
    assert verdict is not None
    left = [rows["path"].iloc[i] for i in (2, 4, 5)]
    assert sorted(verdict.new_suspects["path"]) == sorted(left), "a correction that nobody applied stays a suspect"
    assert [e.reason for e in verdict.stale] == ["it was to get this label and has not"]
    before = Path("ledger.json").read_bytes()
    with pytest.raises(Exception, match="holds what people found and cannot be updated"):
        run(result, GateRequest(baseline="ledger.json", update_baseline=True))
    assert Path("ledger.json").read_bytes() == before
    broken = json.loads(before)
    broken["schema_version"] = 9
    Path("ledger.json").write_text(json.dumps(broken))
    with pytest.raises(DecisionsError, match="schema version 9"):
        run(result, GateRequest(baseline="ledger.json"))


def test_looks_since_the_audit_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = suspects(clean_result(), [0.99] * 6)
    (tmp_path / "out").mkdir()
    result.save(tmp_path / "out")
    before = run("out")
    assert before.verdict is not None and "6 unreviewed suspects" in before.stdout
    hashes, rows = result.summary["dataset"]["hashes"], result.ranking.head(6)
    keys = [(hashes[row.path], str(row.label)) for row in rows.itertuples()]
    other = [next(c for c in result.classes if c != label) for _, label in keys]
    looks = (
        Look(*keys[0], "keep", reviewer="a"),
        Look(*keys[1], "relabel", final_label=other[1], reviewer="a"),
        Look(*keys[2], "drop", reviewer="a"),
        Look(keys[3][0], other[3], "relabel", final_label=keys[3][1], reviewer="a"),
    )
    Ledger(None, looks).save(tmp_path / "out" / "auditor-ledger.json")
    done = run("out")
    assert done.verdict is not None
    left = [rows["path"].iloc[i] for i in (1, 2, 4, 5)]
    assert sorted(done.verdict.new_suspects["path"]) == sorted(left), "right ones, and corrected ones, are settled"
    assert "4 suspects with a probability of at least 0.9; people found 2 of them wrong: audit the data" in done.stdout
    path = tmp_path / "out" / "auditor-ledger.json"
    path.write_text("<<<<<<< HEAD\n" + path.read_text())
    done = run("out")
    assert done.verdict is not None and done.verdict.rules == before.verdict.rules
    assert "Its looks are not used: the ledger" in done.stdout and "merge conflict at line 1" in done.stdout
