"""From an audit's result, levels and a baseline to a verdict. Reads a result only: no model, no image, no clock."""

from __future__ import annotations

import dataclasses

import pandas as pd

from auditor.certificate.documents import CertificateDocument
from auditor.gate import measure
from auditor.gate.documents import StaleReason
from auditor.gate.facts import Decider, Facts, Levels, Measurement
from auditor.gate.levels import Rules
from auditor.gate.messages import Decision, advice, beyond, message
from auditor.gate.rules import Rule, all_rules, measured, new_suspects, recovery
from auditor.gate.verdict import NEW_SUSPECT_COLUMNS, Judgement, RuleOutcome, StaleEntry, Verdict, roll_up
from auditor.result import AuditResult, complete_result
from auditor.review.baseline import Baseline, BaselineEntry
from auditor.review.documents import BaselineWord
from auditor.review.ledger import Ledger
from auditor.review.looks import Standing


def evaluate(
    result: AuditResult,
    rules: Rules,
    baseline: Baseline | None = None,
    certificate: CertificateDocument | None = None,
    ledger: Ledger | None = None,
) -> Verdict:
    """Judge an audit.

    Parameters
    ----------
    result
        A finished audit.
    rules
        Levels by rule name, of `load_rules` or `default_rules`. A rule that is missing here has its default levels.
    baseline
        Images a person has reviewed, by content hash and label.
    certificate
        What people's looks prove of this data set. It takes the place of the audit's estimate.
    ledger
        What people found since the audit.

    Raises
    ------
    ResultError
        The result lacks something that its schema promises.
    ConfigError
        A rule of another package cannot be loaded, or failed.
    """
    with complete_result():
        return _evaluate(gather(result, baseline, certificate, ledger), rules, baseline)


def _evaluate(facts: Facts, rules: Rules, baseline: Baseline | None) -> Verdict:
    known = all_rules()
    levels = {rule.name: rules.get(rule.name, rule.levels) for rule in known}
    found = {rule.name: measured(rule, facts, levels[rule.name]) for rule in known if rule.is_on(levels[rule.name])}
    doubts = _doubts(facts, levels[recovery.RULE.name], found.get(recovery.RULE.name))
    outcomes = tuple(
        _judge(rule, levels[rule.name], found[rule.name], doubts[rule.rests_on], facts)
        for rule in known
        if rule.name in found
    )
    suspects = new_suspects.new_suspect_rows(facts, levels[new_suspects.RULE.name])
    suspects["rank"] = suspects["rank"].astype("Int64")  # a whole number, or nothing
    return Verdict(
        verdict=roll_up(outcome.verdict for outcome in outcomes),
        rules=outcomes,
        new_suspects=suspects[list(NEW_SUSPECT_COLUMNS)].reset_index(drop=True),
        stale=_stale(facts, baseline),
        audit_id=facts.result.audit_id,
        dataset=str(facts.summary["dataset"]["name"]),
        n_images=int(facts.summary["dataset"]["n_images"]),
        switched_off=tuple(rule.name for rule in known if rule.is_off(levels[rule.name])),
        noun=facts.noun,
    )


def gather(
    result: AuditResult,
    baseline: Baseline | None,
    certificate: CertificateDocument | None = None,
    ledger: Ledger | None = None,
) -> Facts:
    """What the rules look at: the ranking with each image's hash and what baseline and ledger say of the image."""
    decisions = {(entry.hash, entry.label): entry.decision for entry in baseline.entries} if baseline else {}
    rows = result.ranking.copy()
    hashes = result.summary["dataset"]["hashes"]
    rows["hash"] = [hashes[path] for path in rows["path"]]
    pairs = zip(rows["hash"], rows["label"], strict=True)
    rows["decision"] = [decisions.get(pair) for pair in pairs]
    rows["decision"] = rows["decision"].astype(object)
    _with_looks(rows, Ledger() if ledger is None else ledger)
    return Facts(result, rows, baseline is not None, certificate)


def _with_looks(rows: pd.DataFrame, ledger: Ledger) -> None:
    """Add the column `found_wrong`, and to `decision` what the ledger settles and the baseline does not."""
    pairs = zip(rows["hash"], rows["label"], strict=True)
    found = [_found(ledger.standing(hash, label), label) for hash, label in pairs]
    rows["found_wrong"] = [word == "drop" for word in found]
    settled = [None if word == "drop" else word for word in found]
    rows["decision"] = pd.Series(
        [old or new for old, new in zip(rows["decision"], settled, strict=True)], rows.index, dtype=object
    )


def _found(standing: Standing | None, label: str) -> BaselineWord | None:
    """What people say of an item under today's label: `drop` where it is wrong, whatever the remedy."""
    if standing is None:
        return None
    if standing.status == "right" or (standing.status == "wrong" and standing.final_label == label):
        return "keep"
    return "drop" if standing.status == "wrong" else "unsure"


def _doubts(facts: Facts, levels: Levels, found: Measurement | None) -> dict[str, str]:
    """By what a rule rests on: what this audit lacks of it, or nothing."""
    unsolved = measure.unsolved(facts)
    weak = unsolved
    if not unsolved and found is not None:
        short = levels.fail is not None and found.interval is not None and found.interval[0] < levels.fail
        weak = "the audit found too few of the labels it planted itself" if short or found.undecided else ""
    return {"nothing": "", "solves": unsolved, "recovery": weak}


def _judge(rule: Rule, levels: Levels, found: Measurement, doubt: str, facts: Facts) -> RuleOutcome:
    """One rule's outcome. `doubt` is what the audit lacks to support its own estimate, or nothing."""
    waits = rule.fail_needs_baseline and not facts.has_baseline and not levels.explicit_fail
    fail = None if waits else levels.fail
    lacks = found.undecided or doubt
    if lacks and found.instead is not None:
        found = found.instead
        lacks = found.undecided
    lacks = lacks or ("" if found.value is not None else "nothing could be measured")
    decided = decide(rule, dataclasses.replace(levels, fail=fail), found, lacks)
    looks = None if decided.decider is None else decided.decider.looks
    return RuleOutcome(
        rule=rule.name,
        measured=found.value,
        interval=found.interval,
        level=decided.level,
        verdict=decided.verdict,
        message=facts.noun.of(message(rule, found, decided)),
        evidence=found.evidence,
        fail=fail,
        warn=levels.warn,
        unit=rule.unit,
        advice=facts.noun.of(advice(rule, levels, decided, unsolved=measure.unsolved(facts))),
        looks=looks,
    )


def decide(rule: Rule, levels: Levels, found: Measurement, lacks: str) -> Decision:
    """How a rule is judged, by levels that hold already.

    `undecided = "warn"` speaks of figures that looks or more data would decide. What the audit lacks stays undecided.
    """
    resting = levels.fail if levels.fail is not None else levels.warn
    if lacks:
        return Decision(Judgement.UNDECIDED, resting, levels.fail, lacks, decider=_decider(found, resting))
    verdict, level, is_open = _compare(rule, levels, found)
    mild = verdict is Judgement.PASS or (verdict is Judgement.WARN and levels.fail is not None)
    if found.cannot_pass and mild and not is_open:
        verdict, level, is_open = Judgement.UNDECIDED, resting, True
    if not is_open:
        doubtful = verdict is Judgement.WARN and found.interval is not None and not beyond(rule, found, level)
        return Decision(verdict, level, levels.fail, decider=_decider(found, level) if doubtful else None)
    if levels.undecided == "warn" or found.at_worst_warn:
        verdict = Judgement.WARN
    return Decision(verdict, level, levels.fail, open=True, decider=_decider(found, level))


def _decider(found: Measurement, level: float | None) -> Decider | None:
    return None if level is None or found.decided_by is None else found.decided_by(level)


def _compare(rule: Rule, levels: Levels, found: Measurement) -> tuple[Judgement, float | None, bool]:
    """The judgement, the level that decided it, and whether the fail level lies inside the interval.

    FAIL: the whole interval lies beyond `fail`. Undecided: it holds `fail`. WARN: it lies within `fail`, and not wholly
    within `warn`. PASS: it lies within `warn`, or within `fail` where there is no `warn`. The rule that asks whether
    the audit can be believed never fails: what does not surely reach its level makes the audit too weak.
    """
    fail, warn, value = levels.fail, levels.warn, found.value
    resting = fail if fail is not None else warn
    if value is None:
        return Judgement.UNDECIDED, resting, False
    low, high = found.ends or found.interval or (value, value)
    best, worst = (low, high) if rule.at_most else (-high, -low)
    sign = 1 if rule.at_most else -1
    if fail is not None and rule.short_is == "UNDECIDED" and worst > sign * fail:
        return (Judgement.WARN if found.at_worst_warn else Judgement.UNDECIDED), fail, False
    if fail is not None and best > sign * fail:
        return (Judgement.WARN if found.at_worst_warn else Judgement.FAIL), fail, False
    if fail is not None and worst > sign * fail:
        return Judgement.UNDECIDED, fail, True
    if warn is not None and max(worst, sign * value) > sign * warn:
        return Judgement.WARN, warn, False
    return Judgement.PASS, warn if warn is not None else fail, False


def _why_stale(entry: BaselineEntry, hashes: set[str]) -> StaleReason:
    """Tells a correction that nobody applied from a label that was changed since."""
    if entry.hash not in hashes:
        return "its image is gone"
    return "it was to get this label and has not" if entry.decision == "relabel" else "its label has changed"


def _stale(facts: Facts, baseline: Baseline | None) -> tuple[StaleEntry, ...]:
    """Entries that match no image. Under `--classes`, entries of other classes are left out."""
    if baseline is None:
        return ()
    present = set(zip(facts.rows["hash"], facts.rows["label"], strict=True))
    hashes = set(facts.rows["hash"])
    only = set(facts.result.classes) if facts.summary["settings"]["classes"] else None
    stale = [
        StaleEntry(e.hash, e.label, e.path, _why_stale(e, hashes))
        for e in baseline.entries
        if (e.hash, e.label) not in present and (only is None or e.label in only)
    ]
    return tuple(sorted(stale, key=lambda e: (e.label, e.path, e.hash)))
