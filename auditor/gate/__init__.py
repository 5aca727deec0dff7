"""The gate: rules to a verdict to an `ExitCode`, from a finished audit's result and nothing else.

    rules = load_rules()                              # auditor.toml, [tool.auditor] in pyproject.toml, or defaults
    verdict = evaluate(AuditResult.load(out), rules)
    print(table(verdict)); sys.exit(exit_code(verdict))

Neither torch nor pyDVL is imported here, so that a gate in CI starts at once.
"""

from auditor.errors import ExitCode
from auditor.gate.evaluate import evaluate
from auditor.gate.facts import Levels
from auditor.gate.init_config import init_file
from auditor.gate.last_verdict import is_shown, keep, kept
from auditor.gate.levels import Rules, default_rules, load_rules
from auditor.gate.rules import RULES, Rule
from auditor.gate.run import DEFAULT_CONFIG, GateRun, Judged, Prepared, prepare, run, run_init
from auditor.gate.verdict import Judgement, RuleOutcome, StaleEntry, Verdict, exit_code, roll_up
from auditor.gate.wording import table
from auditor.system.text import plain

__all__ = [
    "DEFAULT_CONFIG",
    "RULES",
    "ExitCode",
    "GateRun",
    "Judged",
    "Judgement",
    "Levels",
    "Prepared",
    "Rule",
    "RuleOutcome",
    "Rules",
    "StaleEntry",
    "Verdict",
    "default_rules",
    "evaluate",
    "exit_code",
    "init_file",
    "is_shown",
    "keep",
    "kept",
    "load_rules",
    "plain",
    "prepare",
    "roll_up",
    "run",
    "run_init",
    "table",
]
