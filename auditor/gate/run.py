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
from auditor.errors import AuditorError, ConfigError, ExitCode
from auditor.gate.baselining import updated
from auditor.gate.evaluate import evaluate
from auditor.gate.fresh import require_fresh
from auditor.gate.initial import init_file
from auditor.gate.rules import CONFIG_FILES, Rules, find_config, has_rules, load_rules
from auditor.gate.text import counted, plain, table
from auditor.gate.verdict import Verdict, exit_code
from auditor.outputs import OWN, Format, get
from auditor.regular import read_text
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
    chosen = _chosen(config) if rules is None else None
    rules = load_rules(chosen) if rules is None else rules
    result = out if isinstance(out, AuditResult) else AuditResult.load(out)
    baseline_files = _baseline_files(baseline)
    known = _baseline(baseline_files, may_be_new=update_baseline or baseline is None)
    wanted = parse_outputs(outputs, keep=_inputs(out, chosen, baseline_files))
    if strict_fresh:
        require_fresh(result, open_source)
    added = 0
    if update_baseline:
        _check_target(baseline_files[0])
        evaluate(result, rules, known)  # a result that cannot be judged cannot be accepted either
        known, added = updated(known, result, rules, (today or datetime.date.today()).isoformat())
    verdict = evaluate(result, rules, known)
    texts = [(output, _rendered(output, verdict, result)) for output in wanted]
    shown = table(verdict, _judged_by(chosen, baseline_files, known))
    if update_baseline and known is not None:
        known.save(baseline_files[0])
        shown += f"{counted(added, 'entry was', 'entries were')} added to {plain(str(baseline_files[0]), 200)}.\n"
    written = _write(texts, verdict, result)
    printed = "".join(text for output, text in texts if output.file is None)
    code = exit_code(verdict, exit_zero)
    if any(output.file is None for output in wanted):
        return GateRun(verdict, code, printed, shown, written)
    return GateRun(verdict, code, shown, "", written)


def run_init(out: str | Path | AuditResult, path: str | Path = DEFAULT_CONFIG) -> GateRun:
    """`gate --init`: write a commented configuration derived from an audit.

    A file that is there already, with the audit's settings for instance, keeps what it holds and gets the rules after
    it; one that has rules is refused.
    """
    target = Path(path)
    result = out if isinstance(out, AuditResult) else AuditResult.load(out)
    text = init_file(result)
    if not target.exists():
        _write_file(target, text)
        return GateRun(None, ExitCode.OK, f"{target} was written; it is what `auditor gate` reads.\n", "", (target,))
    if target.name == "pyproject.toml" or has_rules(target):
        raise ConfigError(f"{target} is there already", hint="move it away, or edit it")
    _write_file(target, f"{read_text(target).rstrip()}\n\n{text}".lstrip())
    return GateRun(None, ExitCode.OK, f"The rules were added to {target}, after what it held.\n", "", (target,))


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


def _chosen(config: str | Path | None) -> Path | None:
    return find_config() if config is None else Path(config)


def _inputs(out: str | Path | AuditResult, chosen: Path | None, baselines: Sequence[Path]) -> list[Path]:
    """Files an output must not overwrite; a configuration without rules is somebody's all the same."""
    folder = [] if isinstance(out, AuditResult) else [Path(out) / name for name in _RESULT_FILES]
    return [*folder, *baselines, *map(Path, CONFIG_FILES), *([] if chosen is None else [chosen])]


def _judged_by(chosen: Path | None, baselines: Sequence[Path], known: Baseline | None) -> str:
    """Which levels and which baseline held: what is found by itself in the current folder must not go unsaid."""
    levels = "the defaults" if chosen is None else plain(str(chosen), 200)
    names = ", ".join(plain(str(path), 200) for path in baselines)
    entries = "none" if known is None else f"{names} ({counted(len(known.entries), 'entry', 'entries')})"
    return f"Levels: {levels}. Baseline: {entries}."


def _baseline_files(given: str | Path | Sequence[str | Path] | None) -> list[Path]:
    if not given:
        return [Path(DEFAULT_BASELINE)]
    return [Path(given)] if isinstance(given, str | Path) else [Path(path) for path in given]


def _baseline(paths: Sequence[Path], may_be_new: bool) -> Baseline | None:
    """All files as one baseline; only the first may be missing, and where it is alone there is none."""
    known = None
    for number, path in enumerate(paths):
        if number or not may_be_new or path.exists():
            known = _joined(known, path)
    return known


def _joined(known: Baseline | None, path: Path) -> Baseline:
    from auditor import review
    from auditor.baseline import Baseline

    known = known or Baseline()
    if review.holds_decisions(path):
        return review.with_decisions(known, review.read_decisions(path))
    return known.merged(Baseline.load(path).entries)


def _check_target(path: Path) -> None:
    from auditor import review

    if review.holds_decisions(path):
        raise ConfigError(
            f"{path} holds a reviewer's decisions and cannot be updated",
            hint="name a baseline before it with --baseline",
        )


def load_baseline(path: str | Path | None = None) -> Baseline | None:
    """The baseline in `path`, or by default the one in the current folder, if there is one."""
    return _baseline(_baseline_files(path), may_be_new=path is None)


def _rendered(output: Output, verdict: Verdict, result: AuditResult) -> str:
    """The text of a format; one from another package may do anything, and the user then needs its name."""
    if output.name in OWN:
        return output.format.render(verdict, result)
    try:
        text = output.format.render(verdict, result)
    except AuditorError:
        raise
    except Exception as error:
        raise ConfigError(
            f"the output format '{output.name}' failed: {type(error).__name__}: {error}",
            hint="tell those who wrote it, or leave it out",
        ) from error
    if not isinstance(text, str):
        raise ConfigError(f"the output format '{output.name}' gave {type(text).__name__}, not text")
    return text


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
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="look at its folder's permissions and room, or name another file",
        ) from error
