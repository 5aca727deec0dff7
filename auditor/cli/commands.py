"""The commands, one function each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor._version import __version__
from auditor.cli.group import Group, say
from auditor.cli.options import Grouped, gate_options, setting_options, source_option
from auditor.cli.reviewing import review
from auditor.config import AuditSettings, RunSettings, read_settings, settings_from
from auditor.errors import ConfigError, ExitCode
from auditor.session import Order, carry_out, write_report
from auditor.system.text import terminal_text

_TOOLS = ("label-studio", "csv", "fiftyone", "coco", "hf")
"""The names in `auditor.review.tools.TOOLS`, which is not imported for `--help`."""

if TYPE_CHECKING:
    from auditor.gate import GateRun

DEMO = {"classes": ("3", "8"), "weights": "none", "train": "full", "epochs": 4, "repeats": 1}
"""What the demo of images sets; everything else is the default."""

DEMOS: dict[str, tuple[str, dict[str, Any]]] = {
    "image": ("digits", DEMO),
    "table": ("breast-cancer", {"repeats": 1}),
    "text": ("docstrings", {"repeats": 1, "classes": ("integrate", "interpolate", "linalg", "special")}),
}
"""The source of each kind's demo, and what it sets."""


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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


main.add_command(review)


@main.command(cls=Grouped)
@click.argument("source")
@click.option("-o", "--out", required=True, metavar="OUT", help="Folder for the audit's files.")
@click.option(
    "--config", "config_file", metavar="FILE", help="Settings and rules  [default: auditor.toml or pyproject.toml]"
)
@click.option("--download", is_flag=True, help="Allow fetching ImageNet's weights when they are not cached.")
@click.option("--gate", "with_gate", is_flag=True, help="Judge the result too; its verdict is the exit code.")
@gate_options("With --gate: ")
@click.option("--compare", metavar="OUT1", help="Show in the report what changed against an earlier audit.")
@click.option("--fresh", is_flag=True, help="Audit again even where OUT holds the same audit of the same bytes.")
@setting_options(AuditSettings, RunSettings)
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

    SOURCE is a folder with one sub-folder a class (train, val, test above them or not), a zip or tar of one, a
    manifest (CSV, JSON lines, Parquet) with the columns path and label, webdataset shards, an npz file, IDX files,
    the binary version of CIFAR, Tiny ImageNet as published, or "digits".
    """
    asked = {"baseline": baseline, "outputs": outputs, "update_baseline": update_baseline}
    if not with_gate and any(asked.values()):
        raise ConfigError(
            "--baseline, --output and --update-baseline are the gate's", hint="add --gate; OUT is named by -o"
        )
    settings, run = settings_from({**read_settings(config_file), **_given(flags)})
    judged_by = {"config": config_file, "exit_zero": exit_zero, **asked} if with_gate else None
    order = Order(source, out, settings, run, download, not fresh, compare or "", judged_by)
    return _carry_out(order)


@main.command(cls=Grouped)
@click.option("-o", "--out", default="demo-audit", show_default=True, metavar="OUT", help="Folder for the files.")
@setting_options(AuditSettings, RunSettings)
def demo(out: str, **flags: Any) -> int:
    """A complete audit of scikit-learn's handwritten digits, 3 against 8: offline, within a minute.

    --kind table audits the table breast-cancer, and --kind text the help texts of the installed scipy.
    """
    given = _given(flags)
    source, chosen = DEMOS[given.get("kind") or "image"]
    settings, run = settings_from({**chosen, **given})
    return _carry_out(Order(source, out, settings, run))


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    """The options that the user wrote."""
    return {name: value for name, value in flags.items() if value is not None}


def _carry_out(order: Order) -> int:
    """Audit, and print what came of it. A gate's output on standard output moves the talk to standard error."""
    done = carry_out(order)
    aside = done.judged is not None and done.judged.takes_standard_output
    from auditor import report

    certificate = report.looks_in(str(order.out), done.result).certificate
    say(terminal_text(report.headline(done.result, certificate)), err=aside)
    say(terminal_text(f"report: {Path(str(order.out)) / 'report.html'}"), err=aside)
    return ExitCode.OK if done.gate_run is None else _delivered(done.gate_run)


def _delivered(done: GateRun) -> int:
    """Print what a run of the gate leaves to print."""
    say(done.stdout, nl=False)
    say(done.stderr, nl=False, err=True)
    return done.exit_code


@main.command()
@click.argument("out")
@click.option("--config", "config_file", metavar="FILE", help="Rules  [default: auditor.toml or pyproject.toml]")
@gate_options()
@click.option("--strict-fresh", is_flag=True, help="Refuse a result that is older than its data, weights or reference.")
@source_option
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
    done = gates.run(out, gates.GateRequest(config=config_file, **asked))
    if done.verdict is not None and not no_keep:
        gates.keep(done.verdict, out)
    return _delivered(done)


@main.command()
@click.argument("out")
@click.option("--compare", metavar="OUT1", help="Show what changed against an earlier audit.")
@source_option
def report(out: str, compare: str | None, source: str) -> int:
    """Render the report of the finished audit in OUT again, with the gate's last verdict about it."""
    from auditor.data.reopening import moved
    from auditor.result import AuditResult

    result = moved(AuditResult.load(out), source)
    earlier = AuditResult.load(compare) if compare else None
    say(f"report: {write_report(Path(out), result, earlier=earlier)}")
    return ExitCode.OK


@main.command()
@click.argument("out")
@click.option("--to", "tool", required=True, type=click.Choice(_TOOLS), help="The tool.")
@click.option("-o", "--out", "file", required=True, metavar="FILE", help="Where to write the tasks.")
@click.option("-n", "n", type=click.IntRange(1), default=100, show_default=True, help="How many suspects.")
@click.option("--sample", is_flag=True, help="The drawn sample instead (sample.json), without suggestions.")
@click.option(
    "--link", default="", metavar="PREFIX", help="Name images by PREFIX and their path instead of embedding them."
)
@source_option
def export(out: str, file: str, source: str, **wished: Any) -> int:
    """Write the suspects of OUT as tasks for the tool where labels get fixed, the most suspicious first.

    Each task has the suggested label as a prediction with its score. Items that were looked at are left out.
    `auditor review import` takes the answers back.
    """
    from auditor.review import Wanted
    from auditor.review import export as write_tasks

    say(terminal_text(write_tasks(out, Wanted(**wished), file, source=source).text))
    return ExitCode.OK


@main.command()
def doctor() -> int:
    """Versions, device, weights, cache, and what is missing."""
    from auditor.pipeline import doctor as doctors

    lines, healthy = doctors.examine()
    say("\n".join(lines))
    return ExitCode.OK if healthy else ExitCode.USAGE
