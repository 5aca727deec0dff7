"""`pytest --audit-source DIR`: the gate as tests, one for each rule, and the fixture `label_audit`.

The audit runs once in a session, when the first item or fixture asks for it. A rule that fails or is undecided is a
failed test. A rule that warns passes with a warning. `--audit-result OUT` judges a finished audit instead. Without
these options nothing of this happens, and nothing heavy is imported.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from auditor.errors import AuditorError

if TYPE_CHECKING:
    from auditor.gate.run import Prepared
    from auditor.gate.verdict import RuleOutcome, Verdict
    from auditor.result import AuditResult
    from auditor.result.nouns import Noun


class LabelAuditWarning(UserWarning):
    """A rule of the label audit warns."""


class RuleBroken(Exception):
    """A rule of the label audit did not pass. pytest shows its text."""


@dataclass(frozen=True, repr=False)
class LabelAudit:
    """What the fixture `label_audit` gives: the audit's result and the gate's verdict."""

    result: AuditResult
    verdict: Verdict

    def __repr__(self) -> str:
        return f"<LabelAudit {self.verdict!r}>"

    @property
    def rules(self) -> dict[str, RuleOutcome]:
        """The outcomes by rule name."""
        return {outcome.rule: outcome for outcome in self.verdict.rules}


_Audit = Callable[[], LabelAudit]

_NOT_SETTINGS = ("out", "download")
"""Options of `auditor.audit` that are not settings of an audit."""

_AUDIT = pytest.StashKey[_Audit]()

_RULES = pytest.StashKey[tuple[str, ...]]()
"""Names of the rules that are switched on."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, in a group of their own."""
    group = parser.getgroup("auditor", "wrong labels in an image data set")
    group.addoption("--audit-source", metavar="SOURCE", help="audit this data set; one test for each rule of the gate")
    group.addoption("--audit-result", metavar="OUT", help="judge this finished audit instead of running one")
    group.addoption(
        "--audit-option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an option of `auditor audit`, such as noise-rate=0.1; may be given again",
    )
    group.addoption("--audit-config", metavar="FILE", help="settings and levels (default: auditor.toml, if any)")
    group.addoption(
        "--audit-baseline",
        metavar="FILE",
        action="append",
        help="reviewed images, a baseline or decisions (default: auditor-baseline.json, if any); may be given again",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check the options before anything is collected, and prepare the audit without running it."""
    config.addinivalue_line("markers", "label_audit: a rule of the label audit (added by auditor)")
    source, finished = config.getoption("--audit-source"), config.getoption("--audit-result")
    if source and finished:
        raise pytest.UsageError("--audit-source and --audit-result exclude each other")
    if not (source or finished):
        return
    from auditor.config import read_settings, settings_from
    from auditor.gate import GateRequest, all_rules, prepare

    try:
        file, baseline = config.getoption("--audit-config"), config.getoption("--audit-baseline")
        prepared = prepare(GateRequest(config=file, baseline=baseline), folder=finished)
        options = {**read_settings(file), **_options(config.getoption("--audit-option"))}
        settings_from({name: value for name, value in options.items() if name not in _NOT_SETTINGS})
        rules = tuple(rule.name for rule in all_rules() if rule.is_on(prepared.rules[rule.name]))
    except AuditorError as error:
        raise pytest.UsageError(str(error)) from error
    audit: _Audit = functools.cache(lambda: _audit(source, finished, options, prepared))
    config.stash[_AUDIT] = audit
    config.stash[_RULES] = rules


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add one item for each rule that is switched on, before other plugins select among the items."""
    audit = config.stash.get(_AUDIT, None)
    if audit is None:
        return
    parent = _Rules.from_parent(session, name="label-audit", nodeid="label-audit")
    items += [RuleItem.from_parent(parent, name=rule, audit=audit) for rule in config.stash[_RULES]]


@pytest.fixture(scope="session")
def label_audit(request: pytest.FixtureRequest) -> LabelAudit:
    """The audit of `--audit-source` or `--audit-result` with its verdict. Skips when neither option is given."""
    audit = request.config.stash.get(_AUDIT, None)
    if audit is None:
        pytest.skip("label_audit needs --audit-source SOURCE or --audit-result OUT")
    try:
        return audit()
    except AuditorError as error:
        pytest.fail(str(error), pytrace=False)


class _Rules(pytest.Collector):
    """Parent of the rules' items. They are added to a session and not found in a file."""

    def collect(self) -> Iterator[pytest.Item]:
        return iter(())


class RuleItem(pytest.Item):
    """One rule of the gate as a test."""

    def __init__(self, *, audit: _Audit, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._audit = audit
        self.add_marker("label_audit")

    def runtest(self) -> None:
        """Fail unless the rule passes or warns."""
        audit = self._audit()
        outcome = audit.rules[self.name]
        self.user_properties.append(("auditor_verdict", str(outcome.verdict)))
        if str(outcome.verdict) in ("FAIL", "UNDECIDED"):
            raise RuleBroken(_explained(outcome, audit.result.noun))
        if str(outcome.verdict) == "WARN":
            said = LabelAuditWarning(f"{outcome.rule}: {outcome.message}")
            # A line of the plugin would tell nothing. pytest lists the warning under this name.
            warnings.warn_explicit(said, None, "label-audit", 0)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The rule's sentence and evidence. Only an unforeseen error has a traceback."""
        if isinstance(excinfo.value, RuleBroken | AuditorError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[str, None, str]:
        """How pytest names the item."""
        return "label-audit", None, f"label audit: {self.name}"


def _explained(outcome: RuleOutcome, noun: Noun, shown: int = 5) -> str:
    from auditor.gate.wording import evidence

    lines = [f"{outcome.verdict} {outcome.rule}: {outcome.message}"]
    lines += [f"  {evidence(row, noun=noun)}" for row in outcome.evidence[:shown]]
    return "\n".join([*lines, f"  Next: {outcome.advice}"])


def _options(words: list[str]) -> dict[str, Any]:
    """`NAME=VALUE` words as keyword arguments. A word without `=` is an error."""
    from auditor.errors import ConfigError

    pairs = [word.partition("=") for word in words]
    for word, (name, equals, _) in zip(words, pairs, strict=True):
        if not (name and equals):
            raise ConfigError(f"--audit-option {word!r} is not NAME=VALUE")
    return {name.strip().lstrip("-").replace("-", "_"): value for name, _, value in pairs}


def _audit(source: str | None, finished: str | None, options: dict[str, Any], prepared: Prepared) -> LabelAudit:
    if source is None:
        from auditor.result import AuditResult

        result = AuditResult.load(str(finished))
    else:
        import auditor

        result = auditor.audit(source, **options)
    return LabelAudit(result, prepared.judge(result).verdict)
