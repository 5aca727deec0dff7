"""`--output gitlab`: a GitLab code quality report with every rule that did not pass and every new suspect.

An image's entry stands at its file, a row's at its line. A rule's entry stands at the data set (a manifest, a folder),
or at the first of its files where the rule is about files. GitLab compares the reports of two branches by fingerprint.
A finding's fingerprint is made of content, label and path, a rule's of its name and verdict. So a merge request shows
nothing that was there before it, and it does show a warning that became a failure.
"""

from __future__ import annotations

import json

from auditor.gate.documents import SuspectDocument
from auditor.gate.outputs.places import Place, data_set, fingerprint, first_file, locator
from auditor.gate.verdict import Judgement, RuleOutcome, Verdict
from auditor.gate.wording import suspicion
from auditor.result import AuditResult
from auditor.system.text import plain

name = "gitlab"

_CERTAIN = 0.95
"""From this probability on an entry is 'major'."""

_SEVERITIES = {Judgement.WARN: "minor", Judgement.UNDECIDED: "major", Judgement.FAIL: "critical"}

_MESSAGE_LENGTH = 1000


def render(verdict: Verdict, result: AuditResult) -> str:
    """A JSON array: rules in their own order, then suspects, the most suspicious first."""
    locate, place = locator(result), data_set(result)
    entries = [_rule(outcome, verdict.dataset, first_file(outcome, locate), place) for outcome in verdict.noted]
    entries += [_suspect(row, locate(row["path"])) for row in verdict.suspects()]
    return json.dumps(entries, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _rule(outcome: RuleOutcome, dataset: str, file: Place | None, place: str) -> dict[str, object]:
    return {
        "description": plain(
            f"{outcome.rule}: {outcome.verdict}. {outcome.message} {outcome.advice}".strip(), _MESSAGE_LENGTH
        ),
        "check_name": f"auditor/{outcome.rule}",
        "fingerprint": fingerprint(f"{outcome.rule}: {outcome.verdict}", dataset),
        "severity": _SEVERITIES[outcome.verdict],
        "location": _location(place if file is None else file.path),
    }


def _suspect(row: SuspectDocument, file: Place) -> dict[str, object]:
    # GitLab takes no entry without a path.
    unknown = "" if file.known else " The path is that within the data set, whose folder is unknown here."
    return {
        "description": suspicion(row) + unknown,
        "check_name": "auditor/wrong-label",
        "fingerprint": fingerprint(row["hash"], f"{row['label']}\n{row['path']}"),
        "severity": "major" if row["p_mislabelled"] >= _CERTAIN else "minor",
        "location": _location(file.path, file.line),
    }


def _location(path: str, line: int = 1) -> dict[str, object]:
    return {"path": path, "lines": {"begin": line}}
