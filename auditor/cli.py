"""The `auditor` command: parse, call, print, exit code; no work of its own.

Results go to standard output, talk to standard error. Imports of torch wait inside the commands that need it, so that
`auditor gate` and `auditor report` start at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor._version import __version__
from auditor.config import AuditSettings, RunSettings, read_settings, settings_from
from auditor.errors import AuditorError, ConfigError, ExitCode
from auditor.system.interrupts import interrupt, no_interrupt_lost
from auditor.system.progress import Progress
from auditor.system.text import terminal_text

if TYPE_CHECKING:
    from auditor.gate import GateRun
    from auditor.result import AuditResult
    from auditor.system.checkpoint import Checkpoints


Command = Callable[..., Any]

DEMO = {"classes": ("3", "8"), "weights": "none", "train": "full", "epochs": 4, "repeats": 1}
"""What the demo sets; everything else is the default."""


class _Group(click.Group):
    """Turns every error into one message and its exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        # Torch is not loaded yet. On a busy machine threads that spin for each other cost ten times what sleeping does.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if not os.environ.get("AUDITOR_TRACEBACK"):
            warnings.simplefilter("ignore")  # other libraries' advice to their own developers
            logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its cache elsewhere is no concern of the user's
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, interrupt)
        try:
            with no_interrupt_lost():
                code = super().main(*args, **kwargs)
        except click.exceptions.Abort:
            code = _interrupted()
        except click.ClickException as error:
            error.show()
            code = ExitCode.USAGE
        except AuditorError as error:
            _say(f"error: {terminal_text(str(error))}", err=True)
            code = error.exit_code
        except KeyboardInterrupt:
            code = _interrupted()
        except Exception as error:
            code = _unexpected(error)
        sys.exit(int(code) if isinstance(code, int) else 0)


def _say(text: str, *, nl: bool = True, err: bool = False) -> None:
    """Print; a reader that has gone away (`auditor gate OUT | head`) changes nothing, least of all the exit code.

    Nor does a full disk that standard error goes to; on standard output it is an error, for a result is lost.
    """
    stream = sys.stderr if err else sys.stdout
    try:
        click.echo(text, nl=nl, err=err)
    except OSError as error:
        if not err and not isinstance(error, BrokenPipeError):
            raise
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _interrupted() -> ExitCode:
    _say("interrupted; run the same command again to go on", err=True)
    return ExitCode.INTERRUPTED


_WHERE = "set AUDITOR_TRACEBACK=1 to see where"

_ROOM = "make room there and run the same command again: earlier files are as they were, and finished stages are kept"

_ALLOW = "check its permissions, or choose another place with -o"

_WAYS_OUT = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "allow larger files (ulimit -f), or choose another place",
    errno.EACCES: _ALLOW,
    errno.EPERM: _ALLOW,
    errno.EROFS: _ALLOW,
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENAMETOOLONG: "choose a shorter name with -o",
}
"""What a person can do where the system refuses something."""


def _unexpected(error: Exception) -> ExitCode:
    """A failure nobody foresaw: one line, unless the user asks for the traceback."""
    if os.environ.get("AUDITOR_TRACEBACK"):
        raise error
    what = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    if isinstance(error, MemoryError):
        what = "not enough memory; audit fewer --classes, or a smaller --image-size"
    elif isinstance(error, OSError):
        what = f"{error.filename}: {error.strerror}" if error.filename else what
        what += f"\n  {_WAYS_OUT.get(error.errno or 0, _WHERE)}"
    else:
        what = f"unexpected {what}\n  {_WHERE}, and please report it"
    _say(f"error: {terminal_text(what)}", err=True)
    return ExitCode.USAGE


def _setting_options(*settings: type[Any], leave_out: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """An option for every field of the settings, with the field's help and default."""

    def decorate(command: Command) -> Command:
        for field in reversed([f for s in settings for f in dataclasses.fields(s) if f.name not in leave_out]):
            command = _option(field)(command)
        return command

    return decorate


def _option(field: dataclasses.Field[Any]) -> Callable[[Command], Command]:
    flag, help_text = f"--{field.name.replace('_', '-')}", field.metadata["help"]
    if isinstance(field.default, bool):
        return click.option(flag, field.name, is_flag=True, default=None, help=help_text)
    shown = ",".join(field.default) if isinstance(field.default, tuple) else str(field.default)
    choices = field.metadata["choices"]
    kind: Any = click.Choice(choices) if choices else str
    if not choices and isinstance(field.default, int | float):
        kind = type(field.default)
    default = f"  [default: {shown}]" if shown else ""
    return click.option(
        flag, field.name, type=kind, default=None, metavar=field.metadata["metavar"] or None, help=help_text + default
    )


def _gate_options(when: str = "") -> Callable[[Command], Command]:
    """The options of whatever judges an audit; `when` goes before their help."""
    options = (
        click.option(
            "--baseline",
            multiple=True,
            metavar="FILE",
            help=f"{when}Reviewed images: a baseline, or a reviewer's decisions.json; any number  "
            "[default: auditor-baseline.json, if there]",
        ),
        click.option(
            "--output",
            "outputs",
            multiple=True,
            metavar="FORMAT[=FILE]",
            help=f"{when}Write the verdict as github, gitlab, json, junit, markdown or sarif; any number.",
        ),
        click.option(
            "--update-baseline", is_flag=True, help=f"{when}Accept today's new suspects into the (first) baseline."
        ),
        click.option("--exit-zero", is_flag=True, help=f"{when}Exit 0 where the gate fails."),
    )

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="auditor")
def main() -> None:
    """Which labels in this image data set are wrong, and how far can the list be trusted?

    Exit codes: 0 pass or done, 1 gate failed, 2 usage, configuration or input error, 3 could not decide,
    130 interrupted.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise ConfigError("the current folder does not exist any more", hint="change to one that does") from error


@main.command()
@click.argument("source")
@click.option("-o", "--out", required=True, metavar="OUT", help="Folder for the audit's files.")
@click.option(
    "--config", "config_file", metavar="FILE", help="Settings and rules  [default: auditor.toml or pyproject.toml]"
)
@click.option("--download", is_flag=True, help="Allow fetching ImageNet's weights when they are not cached.")
@click.option("--gate", "with_gate", is_flag=True, help="Judge the result too; its verdict is the exit code.")
@_gate_options("With --gate: ")
@click.option("--compare", metavar="OUT1", help="Show in the report what changed against an earlier audit.")
@click.option("--fresh", is_flag=True, help="Audit again even where OUT holds the same audit of the same bytes.")
@_setting_options(AuditSettings, RunSettings)
def audit(
    source: str,
    out: str,
    config_file: str | None,
    download: bool,
    with_gate: bool,
    baseline: tuple[str, ...],
    outputs: tuple[str, ...],
    update_baseline: bool,
    exit_zero: bool,
    compare: str | None,
    fresh: bool,
    **flags: Any,
) -> int:
    """Audit the data set SOURCE and write report.html and the result's files into OUT.

    SOURCE is a folder with one sub-folder a class (train, val, test above them or not), Tiny ImageNet as published,
    a manifest (CSV, JSON lines, Parquet) with the columns path and label, or "digits".
    """
    asked = {"baseline": baseline, "outputs": outputs, "update_baseline": update_baseline}
    if not with_gate and any(asked.values()):
        raise ConfigError(
            "--baseline, --output and --update-baseline are the gate's", hint="add --gate; OUT is named by -o"
        )
    values = {**read_settings(config_file), **{k: v for k, v in flags.items() if v is not None}}
    judged_by = {"config": config_file, "exit_zero": exit_zero, **asked} if with_gate else None
    return _audit(source, out, values, judged_by, download=download, compare=compare, fresh=fresh)


@main.command()
@click.option("-o", "--out", default="demo-audit", show_default=True, metavar="OUT", help="Folder for the files.")
@_setting_options(AuditSettings, RunSettings)
def demo(out: str, **flags: Any) -> int:
    """A complete audit of scikit-learn's handwritten digits, 3 against 8: offline, within a minute."""
    values = {**DEMO, **{k: v for k, v in flags.items() if v is not None}}
    return _audit("digits", out, values)


def _audit(
    source: str,
    out: str,
    values: dict[str, Any],
    judged_by: dict[str, Any] | None = None,
    *,
    download: bool = False,
    compare: str | None = None,
    fresh: bool = True,
) -> int:
    """Audit, and judge by the arguments `judged_by` of `gate.prepare` where there are any."""
    from auditor.system.lock import output_folder

    settings, run = settings_from(values)
    folder = Path(out)
    with output_folder(out, source):
        from auditor import gate as gates
        from auditor import report
        from auditor.result import AuditResult

        earlier = AuditResult.load(compare) if compare else None
        prepared = None if judged_by is None else gates.prepare(folder=folder, keep=[Path(source)], **judged_by)
        result, stages = _audited(source, folder, settings, run, download, fresh)
        judged = None if prepared is None else prepared.judge(result)
        verdict = None if judged is None else judged.verdict
        stands = stages is None and earlier is None
        if not (stands and gates.is_shown(verdict, folder, result, folder / "report.html")):
            if verdict is not None:
                gates.keep(verdict, folder)
            report.write_report(result, folder, gates.kept(folder, result), _comparison(result, earlier))
        if stages is not None:
            stages.clear()
        done = None if judged is None else judged.deliver()
    aside = judged is not None and judged.takes_standard_output
    _say(terminal_text(report.headline(result)), err=aside)
    _say(terminal_text(f"report: {folder / 'report.html'}"), err=aside)
    return ExitCode.OK if done is None else _delivered(done)


def _audited(
    source: str, folder: Path, settings: AuditSettings, run: RunSettings, download: bool, fresh: bool
) -> tuple[AuditResult, Checkpoints | None]:
    """The audit's result, saved, and its checkpoints; the earlier result and None where nothing has changed."""
    from auditor.data.fresh import previous
    from auditor.sources.base import Skipped, left_out

    progress = Progress(run.quiet, run.log_file)
    known = None if fresh or run.save_matrix else previous(folder, source, settings)
    if known is not None:
        progress.say(f"nothing has changed since the audit in {folder}: its result stands")
        progress.say(left_out(Skipped(**entry) for entry in known.summary["dataset"]["skipped"]))
        return known, None
    from auditor.data import feature_cache
    from auditor.pipeline.stages import audit
    from auditor.system.checkpoint import Checkpoints

    stages = Checkpoints(feature_cache.cache_folder(run), progress.resumed)
    result = audit(source, settings, run, download=download, progress=progress, kept=stages)
    result.save(folder)
    return result, stages


def _delivered(done: GateRun) -> int:
    """Print what a run of the gate leaves to print."""
    _say(done.stdout, nl=False)
    _say(done.stderr, nl=False, err=True)
    return done.exit_code


def _comparison(result: AuditResult, earlier: AuditResult | None) -> dict[str, Any] | None:
    if earlier is None:
        return None
    from auditor.review.compare import compare

    return compare(result, earlier)


@main.command()
@click.argument("out")
@click.option("--config", "config_file", metavar="FILE", help="Rules  [default: auditor.toml or pyproject.toml]")
@_gate_options()
@click.option("--strict-fresh", is_flag=True, help="Refuse a result that is older than its data.")
@click.option("--init", is_flag=True, help="Write a commented auditor.toml with levels derived from this audit.")
@click.option("--no-keep", is_flag=True, help="Leave OUT as it is: keep no verdict there for the report to show.")
def gate(out: str, config_file: str | None, init: bool, no_keep: bool, **asked: Any) -> int:
    """Judge the finished audit in OUT by rules."""
    from auditor import gate as gates

    if init:
        if any(asked.values()):
            raise ConfigError(
                "--init writes levels and judges nothing, so it goes with --config alone",
                hint="run `auditor gate` again without --init",
            )
        return _delivered(gates.run_init(out, config_file or gates.DEFAULT_CONFIG))
    done = gates.run(out, config=config_file, **asked)
    if done.verdict is not None and not no_keep:
        gates.keep(done.verdict, out)
    return _delivered(done)


@main.command()
@click.argument("out")
@click.option("--compare", metavar="OUT1", help="Show what changed against an earlier audit.")
def report(out: str, compare: str | None) -> int:
    """Render the report of the finished audit in OUT again, with the gate's last verdict about it."""
    from auditor import gate as gates
    from auditor.report import page as reports
    from auditor.result import AuditResult

    result = AuditResult.load(out)
    comparison = _comparison(result, AuditResult.load(compare) if compare else None)
    _say(f"report: {reports.write_report(result, out, gates.kept(out, result), comparison)}")
    return ExitCode.OK


@main.group()
def review() -> None:
    """Bring a reviewer's decisions back into the data set."""


@review.command("apply")
@click.argument("out")
@click.argument("decisions")
@click.option("-o", "--output", metavar="DIR", help="Where to write  [default: OUT/reviewed]")
@click.option("--format", "kind", type=click.Choice(["manifest", "folder"]), default="manifest", show_default=True)
def apply_decisions(out: str, decisions: str, output: str | None, kind: str) -> int:
    """Apply DECISIONS, exported from the report of OUT: a cleaned data set and a baseline for the gate."""
    from auditor.review import apply as reviews

    _say(reviews.apply(out, decisions, output=output, format=kind).text)
    return ExitCode.OK


@main.command()
def doctor() -> int:
    """Versions, device, weights, cache, and what is missing."""
    from auditor.pipeline import doctor as doctors

    lines, healthy = doctors.examine()
    _say("\n".join(lines))
    return ExitCode.OK if healthy else ExitCode.USAGE


if __name__ == "__main__":
    main()
