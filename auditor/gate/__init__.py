"""The gate: judges a finished audit by rules. The verdict becomes an exit code and outputs for CI.

    rules = load_rules()                              # auditor.toml, [tool.auditor] in pyproject.toml, or defaults
    verdict = evaluate(AuditResult.load(out), rules)
    print(table(verdict)); sys.exit(exit_code(verdict))

One line leads through the room: `facts` -> `measure` -> `rules/` -> `levels` -> `evaluate` -> `run`. `outputs/` holds
one file for each output format. Nothing here imports torch or pyDVL, so a gate in CI starts at once.
"""

from auditor.errors import ExitCode
from auditor.gate.documents import VerdictDocument
from auditor.gate.evaluate import evaluate
from auditor.gate.facts import Facts, Levels, Measurement
from auditor.gate.init_config import init_file
from auditor.gate.last_verdict import is_shown, keep, kept
from auditor.gate.levels import Rules, default_rules, load_rules
from auditor.gate.outputs import register_output, remove_output
from auditor.gate.rules import RULES, Rule, all_rules, register_rule, remove_rule
from auditor.gate.run import DEFAULT_CONFIG, GateRequest, GateRun, Judged, Prepared, prepare, run, run_init
from auditor.gate.verdict import Judgement, RuleOutcome, StaleEntry, Verdict, exit_code, roll_up
from auditor.gate.wording import table

__all__ = [
    "DEFAULT_CONFIG",
    "RULES",
    "ExitCode",
    "Facts",
    "GateRequest",
    "GateRun",
    "Judged",
    "Judgement",
    "Levels",
    "Measurement",
    "Prepared",
    "Rule",
    "RuleOutcome",
    "Rules",
    "StaleEntry",
    "Verdict",
    "VerdictDocument",
    "all_rules",
    "default_rules",
    "evaluate",
    "exit_code",
    "init_file",
    "is_shown",
    "keep",
    "kept",
    "load_rules",
    "prepare",
    "register_output",
    "register_rule",
    "remove_output",
    "remove_rule",
    "roll_up",
    "run",
    "run_init",
    "table",
]
