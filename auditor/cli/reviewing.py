"""The commands of `auditor review`."""

from __future__ import annotations

from typing import Any

import click

from auditor.cli.group import say
from auditor.cli.options import source_option
from auditor.errors import ConfigError, ExitCode
from auditor.system.text import terminal_text


@click.group()
def review() -> None:
    """Draw items to look at, certify what the looks prove, and bring decisions back into the data set."""


class _Numbers(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    """Whole numbers with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(sorted({int(part) for part in value.split(",")}))
        except ValueError:
            self.fail(f"{value!r} is not a list of whole numbers such as 100,300", param, ctx)


@review.command("sample")
@click.argument("out")
@click.argument("decisions", nargs=-1)
@click.option("-n", "n", type=click.IntRange(1), metavar="N", help="Items to look at: the next ones of the draw.")
@click.option("--target", type=float, metavar="SHARE", help="The share of wrong labels to prove, such as 0.01.")
@click.option(
    "--reading",
    type=click.Choice(["betting", "stratified"]),
    help="betting holds at any moment; stratified is narrower, at planned checkpoints only  [default: betting]",
)
@click.option("--checkpoints", type=_Numbers(), default=(), metavar="100,300", help="Looks after which to read strata.")
@click.option(
    "--known-wrong", type=click.IntRange(0), default=0, metavar="K", help="Make K labels wrong, to measure misses."
)
@click.option(
    "--again",
    multiple=True,
    metavar="DECISIONS",
    help="Show what these decisions call wrong to one more person, mixed with as many called right; any number.",
)
@source_option
def sample(out: str, decisions: tuple[str, ...], again: tuple[str, ...], source: str, **wished: Any) -> int:
    """Draw N items of the audit in OUT to be looked at, with known chances, and write sample.json.

    The draw follows from the data set. A sample that was drawn already goes on: it shows what nobody has looked at yet.
    DECISIONS are files that are not applied yet; what they judge counts as looked at.
    """
    from auditor.review import Wish, draw
    from auditor.session import show_sample

    n, known_wrong = wished.pop("n") or 0, wished.pop("known_wrong")
    if not n and not again and not known_wrong:
        raise ConfigError("nothing is asked for", hint="add -n N, such as -n 100")
    wish = Wish(n=n, known_wrong=known_wrong, again=bool(again), **wished)
    say(terminal_text(draw(out, wish, again, decisions)))
    say(terminal_text(show_sample(out, source)))
    return ExitCode.OK


@review.command("certify")
@click.argument("out")
@click.argument("decisions", nargs=-1)
@click.option("--json", "json_file", metavar="FILE", help="Write the certificate there too; - is standard output.")
def certify(out: str, decisions: tuple[str, ...], json_file: str | None) -> int:
    """Say what looks prove: how many labels of OUT were wrong, and how many are left at most.

    DECISIONS are files of any number of reviewers, beside what is in the ledger of OUT. Nothing is applied.
    Writes OUT/certificate.json, and renders the report in OUT again.
    """
    from auditor.review import certify_files
    from auditor.session import show_again

    done = certify_files(out, decisions, json_file)
    said = filter(None, (done.text, show_again(out)))
    say(terminal_text("\n".join(said)), err=json_file == "-")
    if json_file == "-":
        say(done.json, nl=False)
    return ExitCode.OK


@review.command("apply")
@click.argument("out")
@click.argument("decisions", nargs=-1, required=True)
@click.option("-o", "--out", "output", metavar="DIR", help="Where to write  [default: OUT/reviewed]")
@click.option("--output", "output", hidden=True)  # its first name; elsewhere it means a format of the gate
@click.option("--format", "kind", type=click.Choice(["manifest", "folder"]), default="manifest", show_default=True)
@source_option
def apply_decisions(out: str, decisions: tuple[str, ...], output: str | None, kind: str, source: str) -> int:
    """Apply DECISIONS of one or several reviewers of OUT: a cleaned data set, a baseline, a ledger, a certificate."""
    from auditor.review import apply
    from auditor.session import show_again

    said = apply(out, decisions, output=output, format=kind, source=source).text, show_again(out)
    say(terminal_text("\n".join(filter(None, said))))
    return ExitCode.OK


@review.command("import")
@click.argument("out")
@click.argument("answers")
@click.option("-o", "--out", "folder", default="", metavar="DIR", help="Where to write  [default: OUT/decisions]")
def import_(out: str, answers: str, folder: str) -> int:
    """Turn ANSWERS of a labelling tool to tasks of `auditor export` into decisions, a file for each person.

    ANSWERS is Label Studio's export as JSON, or the CSV of `--to csv` with its column `answer` filled in. Says how far
    people agree. Applies nothing: `auditor review apply` does.
    """
    from auditor.review import import_answers

    say(terminal_text(import_answers(out, answers, folder=folder).text))
    return ExitCode.OK


@review.command("serve")
@click.argument("out")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="A port of this machine  [default: a free one]")
@click.option("--open", "browse", is_flag=True, help="Open the address in the browser.")
@source_option
def serve_report(out: str, port: int, browse: bool, source: str) -> int:
    """Show the report of OUT on this machine alone, with full-size items; every decision is on disk at once.

    Prints the address. Several browsers may use it at a time. Each reviewer gives a name, and has a file in
    OUT/decisions. Ctrl-C stops it.
    """
    from auditor.serving import serve

    def tell(address: str, words: str) -> None:
        say(address)
        say(terminal_text(words), err=True)

    say(terminal_text(serve(out, port=port, source=source, browse=browse, tell=tell)))
    return ExitCode.OK
