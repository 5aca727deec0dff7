"""From an audit's result, levels and a baseline to a verdict. Reads a result only: no model, no image, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.gate import measure
from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.levels import Rules
from auditor.gate.rules import RULES, Rule
from auditor.gate.verdict import NEW_SUSPECT_COLUMNS, Judgement, RuleOutcome, StaleEntry, Verdict, roll_up
from auditor.gate.wording import figure
from auditor.result import AuditResult, complete_result

if TYPE_CHECKING:
    from auditor.review.baseline import Baseline, BaselineEntry


_STRONGER = next(rule.advice for rule in RULES if rule.name == "recovery")


def evaluate(result: AuditResult, rules: Rules, baseline: Baseline | None = None) -> Verdict:
    """Judge an audit.

    Parameters
    ----------
    result
        A finished audit.
    rules
        Levels by rule name, of `load_rules` or `default_rules`.
    baseline
        Images a person has reviewed, by content hash and label.

    Raises
    ------
    ResultError
        The result lacks something that its schema promises.
    """
    with complete_result():
        return _evaluate(result, rules, baseline)


def _evaluate(result: AuditResult, rules: Rules, baseline: Baseline | None) -> Verdict:
    facts = gather(result, baseline)
    measured = {rule.name: rule.measure(facts, rules[rule.name]) for rule in RULES if rules[rule.name].enabled}
    weakness = _weakness(facts, rules, measured)
    outcomes = []
    for rule in RULES:
        if rule.name in measured:
            doubt = weakness if rule.estimated else ""
            outcomes.append(_judge(rule, rules[rule.name], measured[rule.name], doubt, facts))
    suspects = measure.new_suspect_rows(facts, rules["new_suspects"])
    suspects["rank"] = suspects["rank"].astype("Int64")  # a whole number, or nothing
    return Verdict(
        verdict=roll_up(outcome.verdict for outcome in outcomes),
        rules=tuple(outcomes),
        new_suspects=suspects[list(NEW_SUSPECT_COLUMNS)].reset_index(drop=True),
        stale=_stale(facts, baseline),
        audit_id=result.audit_id,
        dataset=str(result.summary["dataset"]["name"]),
        n_images=int(result.summary["dataset"]["n_images"]),
        switched_off=tuple(rule.name for rule in RULES if not rules[rule.name].enabled),
    )


def gather(result: AuditResult, baseline: Baseline | None) -> Facts:
    """The ranking with each image's hash and what the baseline says of it."""
    decisions = {(entry.hash, entry.label): entry.decision for entry in baseline.entries} if baseline else {}
    rows = result.ranking.copy()
    hashes = result.summary["dataset"]["hashes"]
    rows["hash"] = [hashes[path] for path in rows["path"]]
    pairs = zip(rows["hash"], rows["label"], strict=True)
    rows["decision"] = [decisions.get(pair) for pair in pairs]
    rows["decision"] = rows["decision"].astype(object)
    return Facts(result, rows, baseline is not None)


def _weakness(facts: Facts, rules: Rules, measured: dict[str, Measurement]) -> str:
    """What makes every estimate of this audit doubtful, or nothing."""
    unsolved = measure.unsolved(facts)
    found = measured.get("recovery")
    if unsolved or found is None:
        return unsolved
    level = rules["recovery"].fail
    short = level is not None and found.interval is not None and found.interval[0] < level
    return "the audit found too few of the labels it planted itself" if short or found.undecided else ""


def _judge(rule: Rule, levels: Levels, found: Measurement, doubt: str, facts: Facts) -> RuleOutcome:
    fail = levels.fail
    if rule.name == "new_suspects" and not facts.has_baseline and not levels.explicit_fail:
        fail = None
    if rule.name == "recovery":
        doubt = measure.unsolved(facts)
    verdict, level = _compare(rule, fail, levels.warn, found)
    reason = found.undecided or doubt
    if reason:
        verdict, level = Judgement.UNDECIDED, fail if fail is not None else levels.warn
    advice = "" if verdict is Judgement.PASS else _advice(rule, found, reason, facts)
    return RuleOutcome(
        rule=rule.name,
        measured=found.value,
        interval=found.interval,
        level=level,
        verdict=verdict,
        message=_message(rule, found, verdict, level, fail, reason),
        evidence=found.evidence,
        fail=fail,
        warn=levels.warn,
        unit=rule.unit,
        advice=advice,
    )


def _advice(rule: Rule, found: Measurement, reason: str, facts: Facts) -> str:
    """What to do next: the rule's own words, but for what the audit rather than the data lacks."""
    if not reason:
        return rule.advice
    if reason == measure.unsolved(facts):
        return "Audit again with `--engine auto`, or with a larger `--damping`."
    return "Give the data set a test split." if rule.unit == "score" else _STRONGER


def _compare(rule: Rule, fail: float | None, warn: float | None, found: Measurement) -> tuple[Judgement, float | None]:
    """The judgement and the level that decided it.

    Failing takes certainty: the whole interval must lie beyond `fail` (the upper end for a rule that asks for at
    least something). Warning takes the figure alone. An audit too weak to be believed is the other way round: recovery
    must surely reach its level, so its lower end counts.
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


def _against(rule: Rule, found: Measurement, verdict: Judgement, level: float, fail: float | None) -> list[str]:
    """How the figure stands to the level that decided, in words that tell a warning from a failure."""
    shown, side = figure(level, rule.unit), "above" if rule.at_most else "below"
    if verdict is Judgement.PASS:
        return [f"{'at most' if rule.at_most else 'at least'} {shown} passes", *_not_ruled_out(rule, found, fail)]
    if verdict is Judgement.UNDECIDED:
        return [f"not surely at least {shown}", "the audit is too weak to support a verdict"]
    if verdict is Judgement.WARN:
        name = "fail" if level == fail else "warn"
        return [f"{side} the {name} level of {shown}", *_not_ruled_out(rule, found, fail)]
    whole = "the whole interval lies " if found.interval is not None else ""
    return [f"{whole}{side} the fail level of {shown}"]


def _not_ruled_out(rule: Rule, found: Measurement, fail: float | None) -> list[str]:
    """A loose interval is said aloud: what did not surely fail may still be failing."""
    if rule.name != "wrong_labels" or fail is None or found.interval is None or found.interval[1] <= fail:
        return []
    reaches = f"the interval reaches above the fail level of {figure(fail, 'share')}"
    return [f"{reaches}, so a failing share is not ruled out"]


def _message(
    rule: Rule, found: Measurement, verdict: Judgement, level: float | None, fail: float | None, reason: str
) -> str:
    parts = [found.sentence] if found.sentence else []
    if found.interval is not None:
        low, high = (figure(end, rule.unit) for end in found.interval)
        parts.append(f"95% interval {low} to {high} {found.interval_of}".rstrip())
    if reason:
        parts.append(f"undecided: {reason}")
    elif level is not None:
        parts += _against(rule, found, verdict, level, fail)
    sentence = "; ".join(parts)
    return sentence[:1].upper() + sentence[1:] + "."


def _why_stale(entry: BaselineEntry, hashes: set[str]) -> str:
    """A correction that a reviewer made and nobody applied is told from a label that was changed since."""
    if entry.hash not in hashes:
        return "its image is gone"
    return "it was to get this label and has not" if entry.decision == "relabel" else "its label has changed"


def _stale(facts: Facts, baseline: Baseline | None) -> tuple[StaleEntry, ...]:
    """Entries that cover nothing. Under `--classes`, entries for other classes are not judged."""
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
