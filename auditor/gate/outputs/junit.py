"""`--output junit`: one test case for each rule, in the JUnit XML that Jenkins and GitLab read.

FAIL is a failure and UNDECIDED an error, so neither looks like a pass. WARN is a pass with its sentence in
`system-out`. A rule that is switched off is a skipped test. No time stamp is written: equal verdicts give equal bytes.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from auditor.gate.verdict import Judgement, RuleOutcome, Verdict
from auditor.gate.wording import evidence
from auditor.result import AuditResult
from auditor.result.nouns import Noun
from auditor.system.text import plain

name = "junit"

_PATH_LENGTH = 400


def render(verdict: Verdict, result: AuditResult) -> str:
    """The verdict as a `testsuites` document."""
    counts = {
        "tests": len(verdict.rules) + len(verdict.switched_off),
        "failures": sum(outcome.verdict is Judgement.FAIL for outcome in verdict.rules),
        "errors": sum(outcome.verdict is Judgement.UNDECIDED for outcome in verdict.rules),
    }
    numbers = {key: str(count) for key, count in counts.items()}
    root = ET.Element("testsuites", {"name": "auditor gate", **numbers})
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "name": f"auditor gate: {plain(verdict.dataset)}",
            **numbers,
            "time": "0",
            "skipped": str(len(verdict.switched_off)),
        },
    )
    properties = ET.SubElement(suite, "properties")
    for key, value in (("audit_id", plain(verdict.audit_id)), ("verdict", str(verdict.verdict))):
        ET.SubElement(properties, "property", {"name": key, "value": value})
    for outcome in verdict.rules:
        _case(suite, outcome, verdict.noun)
    for rule in verdict.switched_off:
        case = ET.SubElement(suite, "testcase", _named(rule))
        ET.SubElement(case, "skipped", {"message": "switched off in the configuration"})
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, outcome: RuleOutcome, noun: Noun) -> None:
    case = ET.SubElement(suite, "testcase", _named(outcome.rule))
    advice = [f"Next: {outcome.advice}"] if outcome.advice else []
    rows = (evidence(row, _PATH_LENGTH, noun=noun) for row in outcome.evidence)
    details = "\n".join([outcome.message, *rows, *advice])
    if outcome.verdict in (Judgement.FAIL, Judgement.UNDECIDED):
        tag = "failure" if outcome.verdict is Judgement.FAIL else "error"
        ET.SubElement(case, tag, {"type": str(outcome.verdict), "message": outcome.message}).text = details
    elif outcome.verdict is Judgement.WARN:
        ET.SubElement(case, "system-out").text = f"WARN: {details}"


def _named(rule: str) -> dict[str, str]:
    return {"name": rule, "classname": "auditor.gate", "time": "0"}
