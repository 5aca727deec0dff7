"""The verdict in words: evidence and suspects as sentences, and the table for a terminal. Labels are hostile text."""

from __future__ import annotations

from auditor.gate.documents import EvidenceRow, SuspectDocument
from auditor.gate.figures import figure, interval
from auditor.gate.verdict import Judgement, RuleOutcome, Verdict
from auditor.result.nouns import IMAGE, Noun, noun_of
from auditor.system.text import counted, plain

IMAGES = noun_of(IMAGE)


def evidence(row: EvidenceRow, limit: int = 200, *, noun: Noun = IMAGES) -> str:
    """One row of a rule's evidence on one line: an image or a class, and what is known of it.

    Parameters
    ----------
    row
        The row.
    limit
        Characters of a path to show.
    noun
        What an item is called.
    """
    label = f"'{plain(row['label'])}'" if "label" in row else ""
    if "path" not in row:
        return f"{label}: {', '.join(_details(row, noun))}"
    said = ([f"labelled {label}"] if label else []) + _details(row, noun)
    return f"{plain(row['path'], limit)}: {', '.join(said)}"


def suspicion(row: SuspectDocument) -> str:
    """One new suspect as a sentence: its label, how probably that is wrong, what the image looks like."""
    suggestion = f"; it looks like '{plain(row['suggested_label'])}'" if row["suggested_label"] else ""
    return f"The label '{plain(row['label'])}' is wrong with a probability of {row['p_mislabelled']:.2f}{suggestion}."


def _details(row: EvidenceRow, noun: Noun) -> list[str]:
    """What a row says beside its image and label."""
    words = []
    if suggested := row.get("suggested_label"):
        words.append(f"looks like '{plain(suggested)}'")
    if row.get("p_mislabelled") is not None:
        words.append(f"wrong with probability {row['p_mislabelled']:.2f}")
    if row.get("share") is not None:
        words.append(f"{figure(row['share'], 'share')} wrong")
    if row.get("interval") is not None:
        words.append(f"95% interval {interval(row['interval'], 'share')}")
    words += [plain(text, 200) for text in (row.get("reason"), row.get("split")) if text]
    counts = ((row.get("n"), noun.many), (row.get("n_planted"), "planted"), (row.get("n_clean"), "not planted"))
    return words + [f"{n} {name}" for n, name in counts if n is not None]


def table(verdict: Verdict, judged_by: str = "") -> str:
    """The verdict for a terminal.

    One row for each rule comes first. Then come the rules that did not pass, each with its first evidence and what to
    do about it. Then `judged_by`, which names levels and baseline, and the verdict.
    """
    head = ("rule", "measured", "interval", "level", "verdict")
    rows = [head, *(_row(outcome) for outcome in verdict.rules)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    told: set[str] = set()
    for outcome in verdict.noted:
        lines += ["", f"{outcome.verdict} {outcome.rule}: {outcome.message}", *_more(outcome, told, verdict.noun)]
    if verdict.switched_off:
        lines += ["", f"Switched off: {', '.join(verdict.switched_off)}."]
    if verdict.stale:
        lines += ["", *_stale(verdict)]
    lines += ["", *([judged_by] if judged_by else []), f"{plain(verdict.dataset)}: {verdict.verdict}"]
    return "\n".join(lines) + "\n"


def stale_count(verdict: Verdict) -> str:
    """How many baseline entries match no image, in words."""
    entries = counted(len(verdict.stale), "baseline entry matches", "baseline entries match")
    return f"{entries} no {verdict.noun.one} any more"


def _row(outcome: RuleOutcome) -> tuple[str, ...]:
    return (
        outcome.rule,
        figure(outcome.measured, outcome.unit),
        interval(outcome.interval, outcome.unit),
        figure(outcome.level, outcome.unit),
        str(outcome.verdict),
    )


def _more(outcome: RuleOutcome, told: set[str], noun: Noun, shown: int = 4) -> list[str]:
    """The first evidence and the advice. Several rules may rest on the same suspects, so nothing is said twice."""
    rows = [] if outcome.verdict is Judgement.UNDECIDED else [evidence(row, noun=noun) for row in outcome.evidence]
    fresh = [row for row in rows if row not in told]
    lines = [f"  {row}" for row in fresh[:shown]]
    if len(fresh) > shown:
        lines.append("  and more; `--output json` lists them")
    if outcome.advice and outcome.advice not in told:
        lines.append(f"  Next: {outcome.advice}")
    told.update(fresh[:shown], [outcome.advice])
    return lines


def _stale(verdict: Verdict, shown: int = 5) -> list[str]:
    count = len(verdict.stale)
    lines = [f"{stale_count(verdict)}:"]
    lines += [f"  {plain(e.path)} ({plain(e.label)}): {verdict.noun.of(e.reason)}" for e in verdict.stale[:shown]]
    lines += [f"  and {count - shown} more"] if count > shown else []
    return [
        *lines,
        "  Next: Apply the corrections that are missing. Remove the lines of "
        f"{verdict.noun.many} that are gone for good.",
    ]
