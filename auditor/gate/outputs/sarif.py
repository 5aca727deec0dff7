"""`--output sarif`: SARIF 2.1.0 with one result for each new suspect, at its file.

The results are the images to look at, and nothing else. So the rules' outcomes are notifications of the run's
invocation. Fingerprints are made of content and label: a renamed file stays the same finding.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from auditor._version import __version__
from auditor.gate.documents import SuspectDocument
from auditor.gate.outputs.places import Place, fingerprint, locator
from auditor.gate.rules import all_rules
from auditor.gate.verdict import Judgement, RuleOutcome, Verdict, exit_code
from auditor.gate.wording import suspicion
from auditor.result import AuditResult
from auditor.system.text import plain

name = "sarif"

RULE = "wrong-label"

SHOWN = 5000
"""Results that GitHub takes from one run. The most suspicious come first."""

_DATA = "%DATASET%"
"""The base of paths whose place is unknown."""

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS = {Judgement.PASS: "none", Judgement.WARN: "warning", Judgement.FAIL: "error", Judgement.UNDECIDED: "error"}


def render(verdict: Verdict, result: AuditResult) -> str:
    """The verdict as a SARIF log with one run."""
    locate = locator(result)
    of = verdict.noun.of
    rules = [_suspect_rule(of), *(_gate_rule(rule.name, of(rule.title), of(rule.about)) for rule in all_rules())]
    index = {rule["id"]: i for i, rule in enumerate(rules)}
    run = {
        "tool": {"driver": {"name": "auditor", "version": __version__, "rules": rules}},
        "automationDetails": {"id": f"auditor/{quote(verdict.dataset, safe='')}/"},
        "originalUriBaseIds": {
            "%SRCROOT%": {"description": _text("The root of the repository.")},
            _DATA: {"description": _text("The data set's folder. Nobody knew where it lies when the gate was run.")},
        },
        "invocations": [
            {
                "executionSuccessful": True,
                "exitCode": int(exit_code(verdict)),
                "toolExecutionNotifications": [
                    *(_notification(outcome, index) for outcome in verdict.rules),
                    *_left_out(len(verdict.new_suspects)),
                ],
            }
        ],
        "results": [_result(row, locate(row["path"])) for row in verdict.suspects(SHOWN)],
        "properties": {"verdict": str(verdict.verdict), "audit_id": verdict.audit_id},
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _left_out(count: int) -> list[dict[str, Any]]:
    """A note where there are more suspects than results."""
    if count <= SHOWN:
        return []
    said = f"{count - SHOWN:,} more new suspects are not listed here: readers take {SHOWN:,} results. "
    return [{"level": "note", "message": _text(f"{said}`--output json` lists all of them.")}]


def _suspect_rule(of: Callable[[str], str]) -> dict[str, Any]:
    return {
        "id": RULE,
        "name": "WrongLabel",
        "shortDescription": _text(of("The label of this image is probably wrong.")),
        "fullDescription": _text(
            of("The audit gives this image's label a high probability of being wrong, and no baseline entry covers it.")
        ),
        "help": _text(of("Look at the image. Correct its label, or record in the report that it is right.")),
        "defaultConfiguration": {"level": "warning"},
    }


def _gate_rule(rule: str, title: str, about: str) -> dict[str, Any]:
    return {"id": rule, "shortDescription": _text(title), "fullDescription": _text(about)}


def _notification(outcome: RuleOutcome, index: dict[str, int]) -> dict[str, Any]:
    return {
        "level": _LEVELS[outcome.verdict],
        "message": _text(f"{outcome.rule}: {outcome.verdict}. {outcome.message}"),
        "associatedRule": {"id": outcome.rule, "index": index[outcome.rule]},
    }


def _result(row: SuspectDocument, file: Place) -> dict[str, Any]:
    probability = row["p_mislabelled"]
    return {
        "ruleId": RULE,
        "ruleIndex": 0,
        "level": "warning",
        "kind": "fail",
        "message": _text(suspicion(row)),
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": _location(file),
                    # An image has no lines, but GitHub takes no result without one: it has line 1.
                    "region": {"startLine": file.line},
                }
            }
        ],
        "partialFingerprints": {"labelledImage/v1": fingerprint(row["hash"], row["label"])},
        "rank": round(100 * probability, 4),
        "properties": {
            "label": row["label"],
            "suggested_label": row["suggested_label"],
            "p_mislabelled": round(probability, 6),
            "audit_rank": row["rank"],
        },
    }


def _location(file: Place) -> dict[str, Any]:
    """A file as a URI: percent-encoded, and relative to the repository's root where it lies below that."""
    uri = quote(file.path.encode("utf-8", "surrogateescape"), safe="/")
    if not file.known:
        return {"uri": uri, "uriBaseId": _DATA}
    return {"uri": uri, "uriBaseId": "%SRCROOT%"} if file.inside else {"uri": f"file://{uri}"}


def _text(text: str) -> dict[str, str]:
    # In a SARIF message braces are placeholders unless doubled, and `[text](target)` is a link.
    return {"text": plain(text, 2000).replace("{", "{{").replace("}", "}}").replace("](", "] (")}
