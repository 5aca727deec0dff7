"""`--output github`: workflow commands that GitHub shows as annotations, and the step summary.

GitHub shows at most ten annotations of one kind for each step. So rules come first, the gravest before others, and
suspects take the room left, the most suspicious first. The last line says how many more there are.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from auditor.errors import ConfigError
from auditor.gate.outputs import markdown
from auditor.gate.outputs.places import Place, first_file, locator
from auditor.gate.verdict import Judgement, RuleOutcome, Verdict
from auditor.gate.wording import suspicion
from auditor.result import AuditResult
from auditor.system.text import counted, plain

name = "github"

SHOWN = 10
"""Annotations of one kind that GitHub shows for a step."""

PAGE_LIMIT = 1024 * 1024
"""Bytes that GitHub takes for a step's page, all commands of the step together. A longer page is refused whole."""

_COMMANDS = {Judgement.WARN: "warning", Judgement.FAIL: "error", Judgement.UNDECIDED: "error"}


def render(verdict: Verdict, result: AuditResult) -> str:
    """One line for each annotation: every rule that did not pass, then the first new suspects with their files."""
    locate = locator(result)
    shown, hidden = _room(verdict.noted)
    lines = [_rule(outcome, locate) for outcome in shown]
    room = max(0, SHOWN - sum(line.startswith("::warning") for line in lines))
    for row in verdict.suspects(room):
        place = locate(row["path"])
        said = suspicion(row) if place.inside else f"{plain(row['path'], 200)}: {suspicion(row)}"
        lines.append(_command("warning", said, **_file(place), title="auditor: probably mislabelled"))
    more = [counted(hidden, "more rule that did not pass", "more rules that did not pass")] if hidden else []
    left = len(verdict.new_suspects) - room
    more += [counted(left, "more new suspect", "more new suspects")] if left > 0 else []
    said = f"{verdict.dataset}: {verdict.verdict}"
    said += f". Not shown here: {' and '.join(more)}; `--output json` lists all of them" if more else ""
    lines.append(_command("notice", said, title="auditor gate"))
    return "\n".join(lines) + "\n"


def _room(noted: tuple[RuleOutcome, ...]) -> tuple[list[RuleOutcome], int]:
    """The rules that GitHub shows, in their own order, and how many it would not show."""
    shown = []
    for command in ("error", "warning"):
        ours = [outcome for outcome in noted if _COMMANDS[outcome.verdict] == command]
        shown += sorted(ours, key=lambda outcome: outcome.verdict is not Judgement.FAIL)[:SHOWN]
    return [outcome for outcome in noted if outcome in shown], len(noted) - len(shown)


def _rule(outcome: RuleOutcome, locate: Callable[[str], Place]) -> str:
    """A rule's sentence and advice. A rule about files stands at the first of them."""
    title = f"auditor gate: {outcome.rule} {outcome.verdict}"
    said = f"{outcome.message} {outcome.advice}".strip()
    return _command(_COMMANDS[outcome.verdict], said, **_file(first_file(outcome, locate)), title=title)


def _file(place: Place | None) -> dict[str, str]:
    """The property that attaches an annotation to a file of the repository. Elsewhere it would attach to nothing."""
    if place is None or not place.inside:
        return {}
    return {"file": place.path} | ({"line": str(place.line)} if place.line > 1 else {})


def publish(verdict: Verdict, result: AuditResult) -> None:
    """Append the Markdown summary to the step's page. Without `GITHUB_STEP_SUMMARY` there is no page."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    try:
        taken = Path(file).stat().st_size
    except OSError:
        taken = 0
    text = markdown.fitting(verdict, PAGE_LIMIT - taken)
    if len(text.encode()) > PAGE_LIMIT - taken:
        return  # other commands have filled the page, and more than it takes would empty it
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
