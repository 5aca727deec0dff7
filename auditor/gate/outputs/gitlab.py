"""`--output gitlab`: a GitLab code quality report: every rule that did not pass, then one entry a new suspect.

An image's entry stands at its file, a rule's at the data set (a manifest, a folder), or at its first file where it is
about files. GitLab compares reports of two branches by fingerprint, so a finding is named by content and label (and the
path, for copies of one file), a rule by its verdict: what was there before a merge request does not show up in it, and
a warning that became a failure does.
"""

from __future__ import annotations

import json
from typing import Any

from auditor.gate.outputs.places import data_set, fingerprint, first_file, locator
from auditor.gate.verdict import Judgement, RuleOutcome, Verdict, records
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
    noted = [outcome for outcome in verdict.rules if outcome.verdict in _SEVERITIES]
    entries = [_rule(outcome, verdict.dataset, first_file(outcome, locate) or place) for outcome in noted]
    entries += [_suspect(row, locate(row["path"])) for row in records(verdict.new_suspects)]
    return json.dumps(entries, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _rule(outcome: RuleOutcome, dataset: str, place: str) -> dict[str, Any]:
    return _entry(
        plain(f"{outcome.rule}: {outcome.verdict}. {outcome.message} {outcome.advice}".strip(), _MESSAGE_LENGTH),
        f"auditor/{outcome.rule}",
        fingerprint(f"{outcome.rule}: {outcome.verdict}", dataset),
        _SEVERITIES[outcome.verdict],
        place,
    )


def _suspect(row: dict[str, Any], file: str) -> dict[str, Any]:
    return _entry(
        suspicion(row),
        "auditor/wrong-label",
        fingerprint(row["hash"], f"{row['label']}\n{row['path']}"),
        "major" if row["p_mislabelled"] >= _CERTAIN else "minor",
        file,
    )


def _entry(description: str, check: str, digest: str, severity: str, file: str) -> dict[str, Any]:
    return {
        "description": description,
        "check_name": check,
        "fingerprint": digest,
        "severity": severity,
        "location": {"path": file, "lines": {"begin": 1}},
    }
