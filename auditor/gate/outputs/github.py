"""`--output github`: workflow commands that GitHub shows as annotations, and the step summary.

GitHub shows at most ten annotations of one kind for each step. So rules come first, and suspects take the room left.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from auditor.errors import ConfigError
from auditor.gate.outputs import markdown
from auditor.gate.outputs.places import first_file, locator
from auditor.gate.verdict import Judgement, RuleOutcome, Verdict
from auditor.gate.wording import suspicion
from auditor.result import AuditResult

name = "github"

SHOWN = 10
"""Annotations of one kind that GitHub shows for a step."""

_SUMMARY_LIMIT = 1_000_000

_COMMANDS = {Judgement.WARN: "warning", Judgement.FAIL: "error", Judgement.UNDECIDED: "error"}


def render(verdict: Verdict, result: AuditResult) -> str:
    """One line for each annotation: every rule that did not pass, then the first new suspects with their files."""
    locate = locator(result)
    lines = [_rule(outcome, locate) for outcome in verdict.noted]
    room = max(0, SHOWN - sum(line.startswith("::warning") for line in lines))
    for row in verdict.suspects(room):
        place = locate(row["path"])
        lines.append(_command("warning", suspicion(row), file=place, title="auditor: probably mislabelled"))
    lines.append(_command("notice", f"{verdict.dataset}: {verdict.verdict}", title="auditor gate"))
    return "\n".join(lines) + "\n"


def _rule(outcome: RuleOutcome, locate: Callable[[str], str]) -> str:
    """A rule's sentence and advice. A rule about files stands at the first of them."""
    file = first_file(outcome, locate)
    place = {} if file is None else {"file": file}
    title = f"auditor gate: {outcome.rule} {outcome.verdict}"
    return _command(_COMMANDS[outcome.verdict], f"{outcome.message} {outcome.advice}".strip(), **place, title=title)


def publish(verdict: Verdict, result: AuditResult) -> None:
    """Append the Markdown summary to the step's page. Without `GITHUB_STEP_SUMMARY` there is no page."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    text = markdown.render(verdict, result)
    if len(text.encode()) > _SUMMARY_LIMIT:
        text = f"auditor gate: {verdict.verdict}. The summary is too long for this page.\n"
    try:
        # All commands of a step share the runner's file: each appends, none replaces.
        with Path(file).open("a", encoding="utf-8") as summary:
            summary.write(text)
    except OSError as error:
        raise ConfigError(f"the step summary {file} cannot be written: {error.strerror}") from error


def _command(command: str, message: str, **properties: str) -> str:
    values = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{command} {values}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
