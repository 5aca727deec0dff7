"""From an audit's result, levels and a baseline to a verdict. Reads a result only: no model, no image, no clock."""

from __future__ import annotations

from auditor.gate import measure
from auditor.gate.documents import StaleReason
from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.levels import Rules
from auditor.gate.messages import advice, message
from auditor.gate.rules import Rule, all_rules, measured, new_suspects, recovery
from auditor.gate.verdict import NEW_SUSPECT_COLUMNS, Judgement, RuleOutcome, StaleEntry, Verdict, roll_up
from auditor.result import AuditResult, complete_result
from auditor.review.baseline import Baseline, BaselineEntry


def evaluate(result: AuditResult, rules: Rules, baseline: Baseline | None = None) -> Verdict:
    """Judge an audit.

    Parameters
    ----------
    result
        A finished audit.
    rules
        Levels by rule name, of `load_rules` or `default_rules`. A rule that is missing here has its default levels.
    baseline
        Images a person has reviewed, by content hash and label.

    Raises
    ------
    ResultError
        The result lacks something that its schema promises.
    ConfigError
        A rule of another package cannot be loaded, or failed.
    """
    with complete_result():
        return _evaluate(result, rules, baseline)


def _evaluate(result: AuditResult, rules: Rules, baseline: Baseline | None) -> Verdict:
    known = all_rules()
    levels = {rule.name: rules.get(rule.name, rule.levels) for rule in known}
    facts = gather(result, baseline)
    found = {rule.name: measured(rule, facts, levels[rule.name]) for rule in known if levels[rule.name].enabled}
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
        audit_id=result.audit_id,
        dataset=str(result.summary["dataset"]["name"]),
        n_images=int(result.summary["dataset"]["n_images"]),
        switched_off=tuple(rule.name for rule in known if rule.name not in found),
    )


def gather(result: AuditResult, baseline: Baseline | None) -> Facts:
    """What the rules look at: the ranking with each image's hash and what the baseline says of the image."""
    decisions = {(entry.hash, entry.label): entry.decision for entry in baseline.entries} if baseline else {}
    rows = result.ranking.copy()
    hashes = result.summary["dataset"]["hashes"]
    rows["hash"] = [hashes[path] for path in rows["path"]]
    pairs = zip(rows["hash"], rows["label"], strict=True)
    rows["decision"] = [decisions.get(pair) for pair in pairs]
    rows["decision"] = rows["decision"].astype(object)
    return Facts(result, rows, baseline is not None)


def _doubts(facts: Facts, levels: Levels, found: Measurement | None) -> dict[str, str]:
    """By what a rule rests on: what this audit lacks of it, or nothing."""
    unsolved = measure.unsolved(facts)
    weak = unsolved
    if not unsolved and found is not None:
        short = levels.fail is not None and found.interval is not None and found.interval[0] < levels.fail
        weak = "the audit found too few of the labels it planted itself" if short or found.undecided else ""
    return {"nothing": "", "solves": unsolved, "recovery": weak}


def _judge(rule: Rule, levels: Levels, found: Measurement, doubt: str, facts: Facts) -> RuleOutcome:
    """One rule's outcome. `doubt` is what the audit lacks to support the figure, or nothing."""
    waits = rule.fail_needs_baseline and not facts.has_baseline and not levels.explicit_fail
    fail = None if waits else levels.fail
    verdict, level = _compare(rule, fail, levels.warn, found)
    reason = found.undecided or doubt or ("" if found.value is not None else "nothing could be measured")
    if reason:
        verdict, level = Judgement.UNDECIDED, fail if fail is not None else levels.warn
    return RuleOutcome(
        rule=rule.name,
        measured=found.value,
        interval=found.interval,
        level=level,
        verdict=verdict,
        message=message(rule, found, (verdict, level), fail, reason),
        evidence=found.evidence,
        fail=fail,
        warn=levels.warn,
        unit=rule.unit,
        advice=advice(rule, verdict, reason, unsolved=measure.unsolved(facts)),
    )


def _compare(rule: Rule, fail: float | None, warn: float | None, found: Measurement) -> tuple[Judgement, float | None]:
    """The judgement and the level that decided it.

    To fail, a rule must be certain: the whole interval lies beyond `fail`. To warn, the figure alone is enough. The
    rule that asks whether the audit can be believed is the other way round: recovery must surely reach its level, so
    the interval's lower end counts.
    """
    resting = fail if fail is not None else warn
    if found.value is None:
        return Judgement.UNDECIDED, resting
    low, high = found.interval or (found.value, found.value)
    if rule.short_is == "UNDECIDED":
        failed = fail is not None and low < fail
    else:
        failed = fail is not None and (low > fail if rule.at_most else high < fail)
    warned = warn is not None and (found.value > warn if rule.at_most else found.value < warn)
    if failed and not found.at_worst_warn:
        return Judgement(rule.short_is), fail
    return (Judgement.WARN, warn if warned else fail) if warned or failed else (Judgement.PASS, resting)


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
