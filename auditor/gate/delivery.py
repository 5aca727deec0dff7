"""The gate's outputs: `--output` words are checked, texts rendered, and files written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import ConfigError
from auditor.gate.outputs import OWN, Format, get
from auditor.gate.verdict import Verdict
from auditor.result import AuditResult, complete_result
from auditor.sources.manifest import parse_spec
from auditor.system import files
from auditor.system.ownership import FORMAT_MARKS, is_ours
from auditor.system.plugins import call_theirs

_STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


@dataclass(frozen=True)
class Output:
    """One `--output FORMAT[=FILE]`. `file` is None for standard output."""

    format: Format
    name: str
    file: Path | None


def parse_outputs(words: Iterable[str], keep: Iterable[Path] = ()) -> list[Output]:
    """`FORMAT[=FILE]` words as outputs. `-` is standard output.

    Parameters
    ----------
    words
        What the user wrote.
    keep
        Files that no output may replace.

    Raises
    ------
    ConfigError
        A format is unknown. Or a file is named twice, is one of `keep`, or cannot be written.
    """
    taken = {path.resolve(): "it is read here" for path in keep}
    parsed = []
    for word in words:
        name, _, file = word.partition("=")
        if "=" in word and not file:
            raise ConfigError(f"the output '{word}' names no file", hint=f"write {name}=FILE, or {name} alone")
        output = Output(get(name), name, Path(file) if file and file not in _STANDARD_OUTPUT else None)
        if output.file is not None:
            _check_place(word, output.file, taken)
            _check_owner(word, name, output.file)
            taken[output.file.resolve()] = "another output goes there"
        parsed.append(output)
    return parsed


def _check_place(word: str, file: Path, taken: dict[Path, str]) -> None:
    """Refuse, before any work, a file that could not be written or would replace something."""
    if file.resolve() in taken:
        raise ConfigError(f"the output '{word}' would overwrite {file}: {taken[file.resolve()]}")
    if file.is_dir():
        raise ConfigError(f"the output '{word}' names a folder", hint="name a file in it")
    above = next((folder for folder in file.parents if folder.exists()), Path())
    if not above.is_dir():
        raise ConfigError(f"{file} cannot be written: {above} is a file", hint="name another file")


def _check_owner(word: str, name: str, file: Path) -> None:
    """Refuse to replace a file that no gate wrote in this format. Only formats of this package can be told."""
    mark = FORMAT_MARKS.get(name)
    if mark is not None and not _is_stream(file) and not is_ours(file, mark):
        raise ConfigError(
            f"the output '{word}' would overwrite {file}: it belongs to the data set or to others, not to the gate",
            hint=f"name another file, or move it away; no {name} output of the gate is in it",
        )


def check_data_untouched(outputs: Iterable[Output], result: AuditResult) -> None:
    """Refuse an output that would replace an image of the audited data set, its manifest or its archive.

    Raises
    ------
    ConfigError
        It would.
    ResultError
        The result does not say what the data set is.
    """
    with complete_result():
        dataset = result.summary["dataset"]
        source = Path(parse_spec(str(dataset["source"]))[0]).resolve()
        entries = {*dataset["hashes"], *(entry["path"] for entry in dataset["skipped"])}
    entries |= {picture for name in entries if (picture := name.rpartition("#")[0])}  # of boxes
    root = Path(result.root).resolve()
    folder = root if root.is_dir() else root.parent
    for output in outputs:
        file = None if output.file is None else output.file.resolve()
        if file is None or not file.exists():
            continue
        if file == source or (file.is_relative_to(folder) and file.relative_to(folder).as_posix() in entries):
            raise ConfigError(
                f"the output '{output.name}={output.file}' would overwrite {output.file}: it belongs to the data set",
                hint="name another file",
            )


def render(outputs: Iterable[Output], verdict: Verdict, result: AuditResult) -> list[tuple[Output, str]]:
    """Every output with its text. Nothing is written.

    Raises
    ------
    ConfigError
        A format of another package failed.
    """
    return [(output, _text(output, verdict, result)) for output in outputs]


def _text(output: Output, verdict: Verdict, result: AuditResult) -> str:
    if output.name in OWN:
        return output.format.render(verdict, result)
    return call_theirs(
        f"the output format '{output.name}'",
        lambda: output.format.render(verdict, result),
        str,
        "text",
        hint="tell those who wrote it, or leave it out",
    )


def write(texts: Sequence[tuple[Output, str]], verdict: Verdict, result: AuditResult) -> tuple[Path, ...]:
    """Write every output that has a file, then call the formats that have a `publish`. Gives the files."""
    for output, text in texts:
        if output.file is not None:
            write_file(output.file, text)
    for output, _ in texts:
        publish = getattr(output.format, "publish", None)
        if publish is not None:
            publish(verdict, result)
    return tuple(output.file for output, _ in texts if output.file is not None)


def write_file(path: Path, text: str) -> None:
    """Text into a file, or into a stream that is there. A missing folder is made.

    Raises
    ------
    ConfigError
        It cannot be written. What was there before is still there.
    """
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


def _is_stream(path: Path) -> bool:
    """Something to write into and never to replace by a file: /dev/null, a pipe, another stream of the process."""
    folder = path.parent.resolve()
    return path.exists() and (not path.is_file() or folder == Path("/dev") or folder.match("/proc/*/fd"))
