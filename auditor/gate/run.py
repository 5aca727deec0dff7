"""`auditor gate` and `audit --gate` without their command lines: check everything, judge, render, and only then write.

`prepare` reads what was given and refuses what cannot be used; `Prepared.judge` gives the verdict on a result and the
texts of the outputs; `Judged.deliver` writes them. An audit prepares before its first image is read.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.data.fresh import require_fresh
from auditor.errors import ConfigError, ExitCode
from auditor.gate import baselines
from auditor.gate.delivery import Output, check_data_untouched, parse_outputs, render, write, write_file
from auditor.gate.evaluate import evaluate
from auditor.gate.init_config import init_file
from auditor.gate.levels import CONFIG_FILES, Rules, find_config, has_rules, load_rules
from auditor.gate.verdict import Verdict, exit_code
from auditor.gate.wording import table
from auditor.result import AuditResult
from auditor.system.files import read_text
from auditor.system.text import counted, plain

if TYPE_CHECKING:
    from auditor.review.baseline import Baseline


DEFAULT_CONFIG = "auditor.toml"

_RESULT_FILES = ("audit.json", "ranking.csv", "planted.csv", "evidence.json", "report.html")


@dataclass(frozen=True)
class GateRun:
    """What a run of the gate leaves for its caller.

    Attributes
    ----------
    verdict
        The verdict; None when only a configuration was written.
    exit_code
        What the process should return.
    stdout, stderr
        Text to print. The table goes to standard error when an output was asked for on standard output.
    written
        Files that were written.
    """

    verdict: Verdict | None
    exit_code: ExitCode
    stdout: str
    stderr: str = ""
    written: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A verdict with its texts, of which none is written yet.

    Attributes
    ----------
    verdict, result
        What was judged, and how.
    shown
        The table for people.
    texts
        Every output with its text.
    exit_code
        What the process should return.
    """

    verdict: Verdict
    result: AuditResult
    shown: str
    texts: tuple[tuple[Output, str], ...]
    exit_code: ExitCode

    @property
    def takes_standard_output(self) -> bool:
        """Whether an output was asked for on standard output, which then holds nothing else."""
        return any(output.file is None for output, _ in self.texts)

    def deliver(self) -> GateRun:
        """Write the outputs; the table goes to standard error where one of them takes standard output.

        Raises
        ------
        ConfigError
            A file cannot be written.
        """
        written = write(self.texts, self.verdict, self.result)
        if not self.takes_standard_output:
            return GateRun(self.verdict, self.exit_code, self.shown, "", written)
        printed = "".join(text for output, text in self.texts if output.file is None)
        return GateRun(self.verdict, self.exit_code, printed, self.shown, written)


@dataclass(frozen=True)
class Prepared:
    """What the gate was asked for, read and checked.

    Attributes
    ----------
    rules
        Levels by rule name.
    config
        The file they came from; None for the defaults.
    baseline_files, baseline
        Where the baseline is, and what it held when it was read; None where there is none.
    outputs
        Where the verdict goes.
    exit_zero
        A FAIL exits with 0.
    update_baseline
        Judging first accepts today's suspects into the first of `baseline_files`.
    """

    rules: Rules
    config: Path | None
    baseline_files: tuple[Path, ...]
    baseline: Baseline | None
    outputs: tuple[Output, ...]
    exit_zero: bool
    update_baseline: bool

    def judge(self, result: AuditResult, today: datetime.date | None = None) -> Judged:
        """The verdict on a result, and the texts of the outputs. Writes nothing but the baseline it was to update.

        Raises
        ------
        AuditorError
            The result lacks something, an output would replace a file of its data set, or somebody else went on
            updating the same baseline. Nothing was written.
        """
        check_data_untouched(self.outputs, result)
        if not self.update_baseline:
            return self._judged(result, self.baseline)
        evaluate(result, self.rules, self.baseline)  # a result that cannot be judged cannot be accepted either
        date = (today or datetime.date.today()).isoformat()
        target = self.baseline_files[0]
        with baselines.alone(target):
            known = baselines.load(self.baseline_files, may_be_new=True)
            accepted, added = baselines.updated(known, result, self.rules, date)
            said = f"{counted(added, 'entry was', 'entries were')} added to {plain(str(target), 200)}.\n"
            judged = self._judged(result, accepted, said)
            accepted.save(target)
        return judged

    def _judged(self, result: AuditResult, baseline: Baseline | None, said: str = "") -> Judged:
        verdict = evaluate(result, self.rules, baseline)
        texts = tuple(render(self.outputs, verdict, result))
        return Judged(
            verdict, result, table(verdict, self._judged_by(baseline)) + said, texts, exit_code(verdict, self.exit_zero)
        )

    def _judged_by(self, baseline: Baseline | None) -> str:
        """By which levels and which baseline: what is found by itself in the current folder must not go unsaid."""
        levels = "the defaults" if self.config is None else plain(str(self.config), 200)
        names = ", ".join(plain(str(path), 200) for path in self.baseline_files)
        entries = "none" if baseline is None else f"{names} ({counted(len(baseline.entries), 'entry', 'entries')})"
        return f"Levels: {levels}. Baseline: {entries}."


def prepare(
    *,
    config: str | Path | None = None,
    rules: Rules | None = None,
    baseline: str | Path | Sequence[str | Path] | None = None,
    outputs: Sequence[str] = (),
    exit_zero: bool = False,
    update_baseline: bool = False,
    folder: str | Path | None = None,
    keep: Iterable[Path] = (),
) -> Prepared:
    """Read and check what a gate is asked for, before there needs to be a result.

    Parameters
    ----------
    config, rules, baseline, outputs, exit_zero, update_baseline
        See `run`.
    folder
        The audit's folder, whose files no output may replace.
    keep
        Other files that no output may replace.

    Raises
    ------
    AuditorError
        Something that was given cannot be used; nothing was written.
    """
    chosen = None if rules is not None else find_config() if config is None else Path(config)
    levels = load_rules(chosen) if rules is None else rules
    paths = baselines.named(baseline)
    known = baselines.load(paths, may_be_new=update_baseline or not baseline)
    if update_baseline:
        baselines.check_target(paths[0])
    # A configuration without rules is somebody's all the same.
    read = [*paths, *map(Path, CONFIG_FILES), *([] if chosen is None else [chosen])]
    result_files = [] if folder is None else [Path(folder) / name for name in _RESULT_FILES]
    wanted = tuple(parse_outputs(outputs, keep=[*read, *result_files, *keep]))
    return Prepared(levels, chosen, paths, known, wanted, exit_zero, update_baseline)


def run(
    out: str | Path | AuditResult,
    *,
    config: str | Path | None = None,
    rules: Rules | None = None,
    baseline: str | Path | Sequence[str | Path] | None = None,
    outputs: Sequence[str] = (),
    strict_fresh: bool = False,
    exit_zero: bool = False,
    update_baseline: bool = False,
    open_source: Callable[[str], Any] | None = None,
    today: datetime.date | None = None,
) -> GateRun:
    """Judge a finished audit and write the outputs.

    Parameters
    ----------
    out
        Folder of the audit, or its result.
    config
        Configuration file; by default the one that holds in the current folder, if any.
    rules
        Levels that were loaded already; `config` is then not read.
    baseline
        Baseline files, later ones prevailing; by default `auditor-baseline.json` in the current folder, if it is
        there. A file of a reviewer's decisions is one too, but cannot be updated.
    outputs
        Any number of `FORMAT` or `FORMAT=FILE`; they are written whatever the verdict is.
    strict_fresh
        Refuse a result that is older than its data set.
    exit_zero
        A FAIL exits with 0; nothing else changes.
    update_baseline
        First add today's new suspects and conflicting duplicates to the (first) baseline, as accepted.
    open_source
        For `strict_fresh`; see `auditor.gate.fresh.require_fresh`.
    today
        Date for new baseline entries.

    Raises
    ------
    AuditorError
        Something that was given cannot be used; nothing was written.
    """
    folder = None if isinstance(out, AuditResult) else out
    prepared = prepare(
        config=config,
        rules=rules,
        baseline=baseline,
        outputs=outputs,
        exit_zero=exit_zero,
        update_baseline=update_baseline,
        folder=folder,
    )
    result = out if isinstance(out, AuditResult) else AuditResult.load(out)
    if strict_fresh:
        require_fresh(result, open_source)
    return prepared.judge(result, today).deliver()


def run_init(out: str | Path | AuditResult, path: str | Path = DEFAULT_CONFIG) -> GateRun:
    """`gate --init`: write a commented configuration derived from an audit.

    A file that is there already, with the audit's settings for instance, keeps what it holds and gets the rules after
    it; one that has rules is refused.
    """
    target = Path(path)
    result = out if isinstance(out, AuditResult) else AuditResult.load(out)
    text = init_file(result)
    if not target.exists():
        write_file(target, text)
        return GateRun(None, ExitCode.OK, f"{target} was written; it is what `auditor gate` reads.\n", "", (target,))
    if target.name == "pyproject.toml" or has_rules(target):
        raise ConfigError(f"{target} is there already", hint="move it away, or edit it")
    write_file(target, f"{read_text(target).rstrip()}\n\n{text}".lstrip())
    return GateRun(None, ExitCode.OK, f"The rules were added to {target}, after what it held.\n", "", (target,))
