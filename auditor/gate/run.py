"""`auditor gate` without its command line: read everything, judge, render everything, and only then write.

Every input is checked before the first byte is written, so that a wrong option or a damaged file changes nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor import files
from auditor.errors import ConfigError, ExitCode
from auditor.gate.baselining import updated
from auditor.gate.evaluate import evaluate
from auditor.gate.fresh import require_fresh
from auditor.gate.initial import init_file
from auditor.gate.rules import Rules, find_config, load_rules
from auditor.gate.text import counted, plain, table
from auditor.gate.verdict import Verdict, exit_code
from auditor.outputs import Format, get
from auditor.result import AuditResult

if TYPE_CHECKING:
    from auditor.baseline import Baseline

DEFAULT_BASELINE = "auditor-baseline.json"
DEFAULT_CONFIG = "auditor.toml"
_STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
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
class Output:
    """One `--output FORMAT[=FILE]`; `file` is None for standard output."""

    format: Format
    name: str
    file: Path | None


def run(
    out: str | Path | AuditResult,
    *,
    config: str | Path | None = None,
    rules: Rules | None = None,
    baseline: str | Path | None = None,
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
        Baseline file; by default `auditor-baseline.json` in the current folder, if it is there.
    outputs
        Any number of `FORMAT` or `FORMAT=FILE`; they are written whatever the verdict is.
    strict_fresh
        Refuse a result that is older than its data set.
    exit_zero
        A FAIL exits with 0; nothing else changes.
    update_baseline
        First add today's new suspects and conflicting duplicates to the baseline, as accepted.
    open_source
        For `strict_fresh`; see `auditor.gate.fresh.require_fresh`.
    today
        Date for new baseline entries.

    Raises
    ------
    AuditorError
        Something that was given cannot be used; nothing was written.
    """
    rules = load_rules(config) if rules is None else rules
    result = out if isinstance(out, AuditResult) else AuditResult.load(out)
    known, baseline_file = _baseline(baseline, update_baseline)
    wanted = parse_outputs(outputs, keep=_inputs(out, config, baseline_file))
    if strict_fresh:
        require_fresh(result, open_source)
    added = 0
    if update_baseline:
        evaluate(result, rules, known)  # a result that cannot be judged cannot be accepted either
        known, added = updated(known, result, rules, (today or datetime.date.today()).isoformat())
    verdict = evaluate(result, rules, known)
    texts = [(output, output.format.render(verdict, result)) for output in wanted]
    shown = table(verdict)
    if update_baseline and known is not None:
        known.save(baseline_file)
        shown += f"{counted(added, 'entry was', 'entries were')} added to {plain(str(baseline_file), 200)}.\n"
    written = _write(texts, verdict, result)
    printed = "".join(text for output, text in texts if output.file is None)
    code = exit_code(verdict, exit_zero)
    if any(output.file is None for output in wanted):
        return GateRun(verdict, code, printed, shown, written)
    return GateRun(verdict, code, shown, "", written)


def run_init(out: str | Path | AuditResult, path: str | Path = DEFAULT_CONFIG) -> GateRun:
    """`gate --init`: write a commented configuration derived from an audit, unless there is one already."""
    target = Path(path)
    result = out if isinstance(out, AuditResult) else AuditResult.load(out)
    text = init_file(result)
    if target.exists():
        raise ConfigError(f"{target} is there already", hint="move it away, or edit it")
    _write_file(target, text)
    return GateRun(None, ExitCode.OK, f"{target} was written; it is what `auditor gate` reads.\n", "", (target,))


def parse_outputs(outputs: Iterable[str], keep: Iterable[Path] = ()) -> list[Output]:
    """`FORMAT[=FILE]` words, checked: known formats, no file twice, none of the files in `keep`, no folder.

    `-` is standard output.
    """
    taken = {path.resolve(): "it is read here" for path in keep}
    parsed = []
    for word in outputs:
        name, _, file = word.partition("=")
        if "=" in word and not file:
            raise ConfigError(f"the output '{word}' names no file", hint=f"write {name}=FILE, or {name} alone")
        output = Output(get(name), name, Path(file) if file and file not in _STANDARD_OUTPUT else None)
        if output.file is not None:
            resolved = output.file.resolve()
            if resolved in taken:
                raise ConfigError(f"the output '{word}' would overwrite {output.file}: {taken[resolved]}")
            if output.file.is_dir():
                raise ConfigError(f"the output '{word}' names a folder", hint="name a file in it")
            taken[resolved] = "another output goes there"
        parsed.append(output)
    return parsed


def _inputs(out: str | Path | AuditResult, config: str | Path | None, baseline: Path) -> list[Path]:
    """Files an output must not overwrite."""
    chosen = find_config() if config is None else Path(config)
    folder = [] if isinstance(out, AuditResult) else [Path(out) / name for name in _RESULT_FILES]
    return [*folder, baseline, *([] if chosen is None else [chosen])]


def _baseline(path: str | Path | None, may_be_new: bool) -> tuple[Baseline | None, Path]:
    file = Path(DEFAULT_BASELINE if path is None else path)
    if not file.exists() and (path is None or may_be_new):
        return None, file
    from auditor.baseline import Baseline

    return Baseline.load(file), file


def load_baseline(path: str | Path | None = None) -> Baseline | None:
    """The baseline in `path`, or by default the one in the current folder, if there is one."""
    return _baseline(path, may_be_new=False)[0]


def _write(texts: list[tuple[Output, str]], verdict: Verdict, result: AuditResult) -> tuple[Path, ...]:
    for output, text in texts:
        if output.file is not None:
            _write_file(output.file, text)
    for output, _ in texts:
        publish = getattr(output.format, "publish", None)
        if publish is not None:
            publish(verdict, result)
    return tuple(output.file for output, _ in texts if output.file is not None)


def _is_stream(path: Path) -> bool:
    """Something to write into, never to replace by a file: /dev/null, a pipe, another of the process's streams."""
    folder = path.parent.resolve()
    return path.exists() and (not path.is_file() or folder == Path("/dev") or folder.match("/proc/*/fd"))


def _write_file(path: Path, text: str) -> None:
    try:
        if _is_stream(path):
            files.write_stream(path, text)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error
