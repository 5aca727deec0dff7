"""`--output markdown`: a comment for a pull request. Labels and paths are hostile text and cannot mark anything up."""

from __future__ import annotations

import re

from auditor.gate.figures import figure, interval
from auditor.gate.verdict import Judgement, RuleOutcome, Verdict
from auditor.gate.wording import evidence, stale_count
from auditor.result import AuditResult
from auditor.result.nouns import Noun
from auditor.system.text import counted, plain

name = "markdown"

SHOWN = 20
"""Suspects in the comment. The JSON output has all of them."""

COMMENT_LIMIT = 65_536
"""Characters that GitHub takes for a comment."""

_EVIDENCE = 4

_MARKUP = re.compile(r"[^A-Za-z0-9 ,;%'\u00a0-\uffff.]|\.(?!\s|$|\d)", re.ASCII)
"""Characters that could mark something up. A full stop does so only in an address: no space or digit follows it."""

MARKER = "<!-- auditor gate -->"
"""Starts every comment, so that a bot can find its earlier one and replace it."""


def render(verdict: Verdict, result: AuditResult) -> str:
    """A heading with the verdict, a table of rules, and the first suspects behind a fold."""
    return fitting(verdict, COMMENT_LIMIT)


def fitting(verdict: Verdict, limit: int) -> str:
    """The comment in at most `limit` bytes if that can be: with fewer suspects, then with the verdict alone."""
    shown = SHOWN
    while len((text := _page(verdict, shown)).encode()) > limit and shown:
        shown //= 2
    if len(text.encode()) <= limit:
        return text
    left = f"The rest is too long for this page; `--output json` has it. {_more(len(verdict.new_suspects), 0)}".strip()
    return f"{MARKER}\n### Label audit: {verdict.verdict}\n\n{left}\n"


def _page(verdict: Verdict, shown: int) -> str:
    items = counted(verdict.n_images, verdict.noun.one, verdict.noun.many)
    head = f"{_text(verdict.dataset)}, {items}, audit {_code(verdict.audit_id)}"
    lines = [MARKER, f"### Label audit: {verdict.verdict}", "", head, ""]
    lines += ["| rule | measured | interval | level | verdict |", "| --- | ---: | ---: | ---: | --- |"]
    lines += [_row(outcome) for outcome in verdict.rules]
    if verdict.noted:
        lines += ["", *(line for outcome in verdict.noted for line in _noted(outcome, verdict.noun))]
    if verdict.switched_off:
        lines += ["", "Switched off: " + ", ".join(_code(rule) for rule in verdict.switched_off)]
    lines += _suspects(verdict, shown)
    if verdict.stale:
        lines += ["", f"{stale_count(verdict)}."]
    return "\n".join(lines) + "\n"


def _noted(outcome: RuleOutcome, noun: Noun) -> list[str]:
    """A rule that did not pass: its sentence, what to do, and the evidence that the fold of suspects does not show."""
    lines = [f"- **{outcome.verdict}** {_code(outcome.rule)}: {_text(outcome.message, 500)}"]
    lines[0] += f" *{_text(outcome.advice, 500)}*" if outcome.advice else ""
    rows = [row for row in outcome.evidence if "p_mislabelled" not in row]
    if outcome.verdict is Judgement.UNDECIDED:
        return lines
    return lines + [f"  - {_text(evidence(row, noun=noun), 500)}" for row in rows[:_EVIDENCE]]


def _row(outcome: RuleOutcome) -> str:
    unit = outcome.unit
    cells = (figure(outcome.measured, unit), interval(outcome.interval, unit), figure(outcome.level, unit))
    return f"| {_code(outcome.rule)} | {' | '.join(cells)} | **{outcome.verdict}** |"


def _more(count: int, shown: int) -> str:
    """How many suspects are not shown, as a sentence; empty where all are."""
    if count <= shown:
        return ""
    words = ("new suspect is", "new suspects are") if not shown else ("more new suspect is", "more new suspects are")
    return f"{counted(count - shown, *words)} not shown."


def _suspects(verdict: Verdict, shown: int) -> list[str]:
    count = len(verdict.new_suspects)
    if not count:
        return []
    if not shown:
        return ["", _more(count, 0)]
    first = f", the first {shown}" if count > shown else ""
    lines = ["", "<details>", f"<summary>{counted(count, 'new suspect', 'new suspects')}{first}</summary>", ""]
    lines += [f"| {verdict.noun.one} | label | looks like | probability |", "| --- | --- | --- | ---: |"]
    for row in verdict.suspects(shown):
        suggested = _code(row["suggested_label"]) if row["suggested_label"] else "-"
        cells = (_code(row["path"]), _code(row["label"]), suggested, f"{row['p_mislabelled']:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    more = _more(count, shown)
    return [*lines, *(["", more] if more else []), "", "</details>"]


def _code(text: str) -> str:
    """Text as code. GitHub and GitLab look for no mention, reference or link in it."""
    return f"<code>{_text(text)}</code>"


def _text(text: str, limit: int = 200) -> str:
    """Text in which a numeric entity stands for each character that could mark something up."""
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", plain(text, limit))
