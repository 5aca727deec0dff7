"""The gate's outputs on their way out: `--output` words checked, texts rendered, files written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import AuditorError, ConfigError
from auditor.gate.outputs import OWN, Format, get
from auditor.gate.verdict import Verdict
from auditor.result import AuditResult, complete_result
from auditor.system import files

_STANDARD_OUTPUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


@dataclass(frozen=True)
class Output:
    """One `--output FORMAT[=FILE]`; `file` is None for standard output."""

    format: Format
    name: str
    file: Path | None


def parse_outputs(words: Iterable[str], keep: Iterable[Path] = ()) -> list[Output]:
    """`FORMAT[=FILE]` words, checked: known formats, no file twice, none of the files in `keep`, no folder.

    `-` is standard output.
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
            taken[output.file.resolve()] = "another output goes there"
        parsed.append(output)
    return parsed


def _check_place(word: str, file: Path, taken: dict[Path, str]) -> None:
    """Refuse before any work what could not be written, or would replace something, after it."""
    if file.resolve() in taken:
        raise ConfigError(f"the output '{word}' would overwrite {file}: {taken[file.resolve()]}")
    if file.is_dir():
        raise ConfigError(f"the output '{word}' names a folder", hint="name a file in it")
    above = next((folder for folder in file.parents if folder.exists()), Path())
    if not above.is_dir():
        raise ConfigError(f"{file} cannot be written: {above} is a file", hint="name another file")


def check_data_untouched(outputs: Iterable[Output], result: AuditResult) -> None:
    """Refuse an output that would replace an image of the audited data set, or its manifest or archive."""
    with complete_result():
        dataset = result.summary["dataset"]
        source = Path(str(dataset["source"])).resolve()
        entries = {*dataset["hashes"], *(entry["path"] for entry in dataset["skipped"])}
    folder = source if source.is_dir() else source.parent
    for output in outputs:
        file = None if output.file is None else output.file.resolve()
        if file is None or not file.exists() or not file.is_relative_to(folder):
            continue
        if file == source or file.relative_to(folder).as_posix() in entries:
            raise ConfigError(
                f"the output '{output.name}={output.file}' would overwrite {output.file}: it belongs to the data set",
                hint="name another file",
            )


def render(outputs: Iterable[Output], verdict: Verdict, result: AuditResult) -> list[tuple[Output, str]]:
    """Every output with its text; nothing is written."""
    return [(output, _text(output, verdict, result)) for output in outputs]


def _text(output: Output, verdict: Verdict, result: AuditResult) -> str:
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


def write(texts: Sequence[tuple[Output, str]], verdict: Verdict, result: AuditResult) -> tuple[Path, ...]:
    """Write every output that has a file, then tell the formats that want to know; the files that were written."""
    for output, text in texts:
        if output.file is not None:
            write_file(output.file, text)
    for output, _ in texts:
        publish = getattr(output.format, "publish", None)
        if publish is not None:
            publish(verdict, result)
    return tuple(output.file for output, _ in texts if output.file is not None)


def write_file(path: Path, text: str) -> None:
    """Text into a file whose folder is made where it is missing, or into a stream that is there.

    Raises
    ------
    ConfigError
        It cannot be written; what was there before is there still.
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
    """Something to write into, never to replace by a file: /dev/null, a pipe, another of the process's streams."""
    folder = path.parent.resolve()
    return path.exists() and (not path.is_file() or folder == Path("/dev") or folder.match("/proc/*/fd"))
