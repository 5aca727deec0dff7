"""Words and figures for people: hostile labels made harmless, numbers with intervals, the terminal's table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.gate.verdict import Judgement, RuleOutcome, Verdict
from auditor.system.text import counted, plain


def figure(value: float | None, unit: str) -> str:
    """A figure as its unit is read: a share in percent, a count whole where it is, a score with three decimals."""
    if value is None:
        return "-"
    if unit == "share":
        # A share that is not nothing never reads as 0%; adding 0.0 turns -0.0 into 0.0.
        return f"{100 * value:.1g}%" if 0 < value < 5e-5 else f"{round(100 * value, 2) + 0.0:g}%"
    if unit == "count":
        return f"{round(value, 1) + 0.0:g}"
    return f"{value:.3f}"


def interval(ends: tuple[float, float] | None, unit: str) -> str:
    """An interval in the unit of its figure."""
    return "-" if ends is None else f"{figure(ends[0], unit)} to {figure(ends[1], unit)}"


def evidence(row: Mapping[str, Any], limit: int = 200) -> str:
    """One row of a rule's evidence on one line: an image or a class, and what is to be said of it."""
    label = f"'{plain(str(row['label']))}'" if "label" in row else ""
    if "path" not in row:
        return f"{label}: {', '.join(_details(row))}"
    said = ([f"labelled {label}"] if label else []) + _details(row)
    return f"{plain(str(row['path']), limit)}: {', '.join(said)}"


def suspicion(row: Mapping[str, Any]) -> str:
    """One new suspect as a sentence: what its label is, how surely that is wrong, what it looks like."""
    suggestion = f"; it looks like '{plain(str(row['suggested_label']))}'" if row["suggested_label"] else ""
    return f"The label '{plain(row['label'])}' is wrong with a probability of {row['p_mislabelled']:.2f}{suggestion}."


def _details(row: Mapping[str, Any]) -> list[str]:
    """What a row says beside its image and label, in the words of a person."""
    words = []
    if row.get("suggested_label"):
        words.append(f"looks like '{plain(str(row['suggested_label']))}'")
    if row.get("p_mislabelled") is not None:
        words.append(f"wrong with probability {row['p_mislabelled']:.2f}")
    if row.get("share") is not None:
        words.append(f"{figure(row['share'], 'share')} wrong")
    if row.get("interval") is not None:
        words.append(f"95% interval {interval(tuple(row['interval']), 'share')}")
    words += [plain(str(row[key]), 200) for key in ("reason", "split") if row.get(key)]
    names = (("n", "images"), ("n_planted", "planted"), ("n_clean", "not planted"))
    return words + [f"{row[key]} {name}" for key, name in names if row.get(key) is not None]


def noted(verdict: Verdict) -> list[RuleOutcome]:
    """The rules that did not pass, in their own order."""
    return [outcome for outcome in verdict.rules if outcome.verdict is not Judgement.PASS]


def table(verdict: Verdict, judged_by: str = "") -> str:
    """The verdict for a terminal: one row a rule, then each that did not pass with its first evidence and what to do
    about it, then by what it was judged, then the verdict."""
    head = ("rule", "measured", "interval", "level", "verdict")
    rows = [head, *(_row(outcome) for outcome in verdict.rules)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    told: set[str] = set()
    for outcome in noted(verdict):
        lines += ["", f"{outcome.verdict} {outcome.rule}: {outcome.message}", *_more(outcome, told)]
    if verdict.switched_off:
        lines += ["", f"Switched off: {', '.join(verdict.switched_off)}."]
    if verdict.stale:
        lines += ["", *_stale(verdict)]
    lines += ["", *([judged_by] if judged_by else []), f"{plain(verdict.dataset)}: {verdict.verdict}"]
    return "\n".join(lines) + "\n"


def _row(outcome: RuleOutcome) -> tuple[str, ...]:
    return (
        outcome.rule,
        figure(outcome.measured, outcome.unit),
        interval(outcome.interval, outcome.unit),
        figure(outcome.level, outcome.unit),
        str(outcome.verdict),
    )


def _more(outcome: RuleOutcome, told: set[str], shown: int = 4) -> list[str]:
    """The first evidence and the advice, neither twice in one text: several rules may rest on the same suspects."""
    rows = [] if outcome.verdict is Judgement.UNDECIDED else [evidence(row) for row in outcome.evidence]
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
    lines = [counted(count, "baseline entry covers", "baseline entries cover") + " nothing any more:"]
    lines += [f"  {plain(e.path)} ({plain(e.label)}): {e.reason}" for e in verdict.stale[:shown]]
    lines += [f"  and {count - shown} more"] if count > shown else []
    return [*lines, "  Next: Apply the corrections that are missing, and remove the lines of what is gone for good."]
