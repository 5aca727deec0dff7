"""`--output markdown`: a comment for a pull request. Labels and paths are hostile text and can mark nothing up."""

from __future__ import annotations

import re

from auditor.gate.text import counted, figure, interval, plain
from auditor.gate.verdict import RuleOutcome, Verdict, records
from auditor.result import AuditResult

name = "markdown"
SHOWN = 20
"""Suspects in the comment; the JSON output has all of them."""
_SAFE = re.compile(r"[^A-Za-z0-9 \u00a0-\uffff]", re.ASCII)
MARKER = "<!-- auditor gate -->"
"""Starts every comment, so that a bot can find its earlier one and replace it."""


def render(verdict: Verdict, result: AuditResult) -> str:
    """A heading with the verdict, a table of rules, and the first suspects behind a fold."""
    head = f"{_text(verdict.dataset)}, {verdict.n_images} images, audit {_code(verdict.audit_id)}"
    lines = [MARKER, f"### Label audit: {verdict.verdict}", "", head, ""]
    lines += ["| rule | measured | interval | level | verdict |", "| --- | ---: | ---: | ---: | --- |"]
    lines += [_row(outcome) for outcome in verdict.rules]
    noted = [outcome for outcome in verdict.rules if str(outcome.verdict) != "PASS"]
    if noted:
        lines += ["", *(f"- **{o.verdict}** {_code(o.rule)}: {_text(o.message, 500)}" for o in noted)]
    if verdict.switched_off:
        lines += ["", "Switched off: " + ", ".join(_code(rule) for rule in verdict.switched_off)]
    lines += _suspects(verdict)
    if verdict.stale:
        stale = counted(len(verdict.stale), "baseline entry covers", "baseline entries cover")
        lines += ["", f"{stale} nothing any more."]
    return "\n".join(lines) + "\n"


def _row(outcome: RuleOutcome) -> str:
    unit = outcome.unit
    cells = (figure(outcome.measured, unit), interval(outcome.interval, unit), figure(outcome.level, unit))
    return f"| {_code(outcome.rule)} | {' | '.join(cells)} | **{outcome.verdict}** |"


def _suspects(verdict: Verdict) -> list[str]:
    count = len(verdict.new_suspects)
    if not count:
        return []
    first = f", the first {SHOWN}" if count > SHOWN else ""
    lines = ["", "<details>", f"<summary>{counted(count, 'new suspect', 'new suspects')}{first}</summary>", ""]
    lines += ["| image | label | looks like | probability |", "| --- | --- | --- | ---: |"]
    for row in records(verdict.new_suspects.head(SHOWN)):
        suggested = _code(str(row["suggested_label"])) if row["suggested_label"] else "-"
        cells = (_code(row["path"]), _code(row["label"]), suggested, f"{row['p_mislabelled']:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", "</details>"]


def _code(text: str) -> str:
    """Text as code, in which GitHub and GitLab look for no mention, reference or link."""
    return f"<code>{_text(text)}</code>"


def _text(text: str, limit: int = 200) -> str:
    """Every character that could mark something up as a numeric entity, which Markdown takes as that character."""
    return _SAFE.sub(lambda match: f"&#{ord(match[0])};", plain(text, limit))
