"""Options that several commands share; those of an audit are made from the settings' own fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import click

from auditor.config import AuditSettings, RunSettings

Command = Callable[..., Any]


class Grouped(click.Command):
    """A command whose help shows its options in groups: where it reads and writes, the result, the run, the gate."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group of options under a heading of its own."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups.setdefault(_heading(parameter.name or ""), []).append(record)
        for heading in (_PLACES, _RESULT, _RUN, _GATE, _HELP):
            if heading in groups:
                with formatter.section(heading):
                    formatter.write_dl(groups[heading])


_PLACES, _RESULT, _RUN = "What is read and written", "What decides the result", "How it is run"

_GATE, _HELP = "The gate", "Help"

_READ = frozenset(
    {"kind", "label", "features", "probabilities", "reference", "ledger", "allow_outside", "root", "columns"}
    | {"max_pixels", "max_unreadable", "cache", "save_matrix", "log_file", "remote_cache", "group_columns"}
)
"""Settings about what is read and written."""


def _heading(name: str) -> str:
    """The group of an option, by its name in Python."""
    if name in _READ:
        return _PLACES
    if name in {field.name for field in dataclasses.fields(AuditSettings)}:
        return _RESULT
    if name in {field.name for field in dataclasses.fields(RunSettings)}:
        return _RUN
    if name in ("with_gate", "baseline", "outputs", "update_baseline", "exit_zero"):
        return _GATE
    return _HELP if name == "help" else _PLACES


def setting_options(*settings: type[Any], leave_out: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """An option for every field of the settings, with the field's help and default."""

    def decorate(command: Command) -> Command:
        for field in reversed([f for s in settings for f in dataclasses.fields(s) if f.name not in leave_out]):
            command = _option(field)(command)
        return command

    return decorate


class _Found(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    """A choice among names that are found when they are asked for. Other packages may add some."""

    name = "choice"

    def __init__(self, find: Callable[[], tuple[str, ...]]) -> None:
        self.find = find

    def get_metavar(self, *given: Any, **named: Any) -> str | None:  # click 8.1 gives no context
        return click.Choice(self.find()).get_metavar(*given, **named)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return click.Choice(self.find()).convert(value, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        return click.Choice(self.find()).shell_complete(ctx, param, incomplete)


def _option(field: dataclasses.Field[Any]) -> Callable[[Command], Command]:
    flag, help_text = f"--{field.name.replace('_', '-')}", field.metadata["help"]
    if isinstance(field.default, bool):
        return click.option(flag, field.name, is_flag=True, default=None, help=help_text)
    shown = ",".join(field.default) if isinstance(field.default, tuple) else str(field.default)
    choices = field.metadata["choices"]
    kind: Any = (_Found(choices) if callable(choices) else click.Choice(choices)) if choices else str
    if not choices and isinstance(field.default, int | float):
        kind = type(field.default)
    default = f"  [default: {shown}]" if shown else ""
    return click.option(
        flag, field.name, type=kind, default=None, metavar=field.metadata["metavar"] or None, help=help_text + default
    )


def gate_options(when: str = "") -> Callable[[Command], Command]:
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


def source_option(command: Command) -> Command:
    """The option of whatever opens an audited data set again."""
    return click.option(
        "--source",
        default="",
        metavar="SOURCE",
        help="Where the data set lies now  [default: where the audit found it]",
    )(command)
