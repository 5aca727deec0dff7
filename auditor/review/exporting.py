"""`auditor export`: suspects, or the drawn sample, as tasks for the tools where labels get fixed."""

from __future__ import annotations

import base64
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from auditor.data import shown
from auditor.data.images import UnreadableImage
from auditor.data.reopening import reopen
from auditor.errors import ConfigError, DecisionsError
from auditor.result import AuditResult, complete_result
from auditor.review.cleaned import read_again
from auditor.review.sample_file import SAMPLE_NAME, read_sample
from auditor.review.tools import TOOLS, Task, Tasks
from auditor.review.tools.contract import Tool
from auditor.sources.base import IN_MEMORY, ImageTable
from auditor.system import files
from auditor.system.text import counted, display

EDGE = 1024
"""Longer side of an embedded image, in pixels."""

MOST_EMBEDDED = 256 << 20
"""Bytes of all embedded images. Tools refuse larger files."""


@dataclass(frozen=True)
class Wanted:
    """What an export should hold.

    Attributes
    ----------
    tool
        A name of `TOOLS`.
    n
        How many suspects, the most suspicious first.
    sample
        The items of `sample.json` in their place, without suggestions.
    link
        What stands before a path to make an address of it. Empty embeds the images where the tool can hold them.
    """

    tool: str
    n: int = 100
    sample: bool = False
    link: str = ""


@dataclass(frozen=True)
class Exported:
    """The files that an export wrote, and what to say of it."""

    files: tuple[Path, ...]
    text: str


def export(out: str | Path, wanted: Wanted, file: str | Path, *, source: str = "") -> Exported:
    """Write the tasks of a finished audit for a tool.

    Parameters
    ----------
    out
        The audit's folder.
    file
        Where to write. Files that the tool needs beside it have its name and another ending.
    source
        The data set, if it no longer lies where the audit found it.

    Raises
    ------
    ConfigError
        `file` has an ending that the tool does not take.
    DecisionsError
        There is nothing to look at, or no sample was drawn, or the images are too many to embed.
    SourceError
        The data set cannot be opened.
    ResultError
        `out` holds no finished audit.
    """
    tool, file = TOOLS[wanted.tool], Path(file)
    if file.suffix.lower() != tool.ending:
        raise ConfigError(f"{file} does not end in {tool.ending}", hint=f"{tool.name} takes {tool.ending} files")
    result = AuditResult.load(out)
    tasks = list(_sampled(out, result) if wanted.sample else _suspects(result, wanted.n))
    if not tasks:
        raise DecisionsError("there is nothing to look at: everything on the list was looked at", hint="audit again")
    tasks = _with_content(tasks, result, tool, wanted.link, lambda: reopen(result, source=source, out=out))
    name = str(result.summary["dataset"]["name"])
    data, beside = tool.export(Tasks(result.audit_id, name, tuple(sorted(result.classes)), tasks))
    written = {file: data, **{file.with_suffix(ending): more for ending, more in beside.items()}}
    file.parent.mkdir(parents=True, exist_ok=True)
    for path, content in written.items():
        files.write_bytes(path, content)
    return Exported(tuple(written), _said(written, tasks, result, wanted, out))


def _suspects(result: AuditResult, n: int) -> Iterator[Task]:
    """The most suspicious items that nobody has looked at."""
    with complete_result():
        frame, hashes = result.ranking, result.summary["dataset"]["hashes"]
        open_ = frame[frame["rank"].notna() & ~frame["looked"].map(bool)].sort_values("rank").head(n)
        columns = ("path", "label", "suggested_label", "p_mislabelled", "suspicion", "rank")
        for path, label, suggested, p, suspicion, rank in zip(*(open_[c] for c in columns), strict=True):
            score = float(p) if not math.isnan(p) else float(suspicion)
            better = suggested if isinstance(suggested, str) and suggested != label else ""
            known = None if math.isnan(score) else round(score, 6)
            yield Task(path, hashes[path], label, "suspects", better, known, int(rank), "", "")


def _sampled(out: str | Path, result: AuditResult) -> Iterator[Task]:
    """The items of the drawn sample in random order, without what the audit thinks of them."""
    sample = read_sample(out)
    if sample is None or sample["audit_id"] != result.audit_id:
        raise DecisionsError(
            f"there is no {SAMPLE_NAME} of this audit in {Path(out)}",
            hint=f"draw one: auditor review sample {Path(out)} -n 100",
        )
    items = sorted(sample["items"], key=lambda item: (item["hash"], item["path"], item["label"]))
    random.Random(result.audit_id).shuffle(items)
    for place, item in enumerate(items, start=1):
        yield Task(item["path"], item["hash"], item["label"], "sample", "", None, place, "", "")


def _with_content(
    tasks: Sequence[Task], result: AuditResult, tool: Tool, link: str, opened: Callable[[], ImageTable]
) -> list[Task]:
    """The tasks with an address of each image, with the image itself, or with the text that people read."""
    kind = result.noun.kind
    if kind == "image" and (link or not (tool.embeds or tool is TOOLS["csv"])) and _boxes(tasks, opened):
        raise DecisionsError(
            "boxes have no files of their own that another program could open",
            hint="--to label-studio without --link holds the crops themselves, and --to csv their names",
        )
    if kind == "image" and (link or not tool.embeds):
        return [replace(task, link=link + quote(task.path) if link else "") for task in tasks]
    if kind == "features" or (result.summary["dataset"]["source"] == IN_MEMORY and kind != "image"):
        return [replace(task, text=task.path) for task in tasks]
    table, done, size = opened(), list[Task](), 0
    for task in tasks:
        if kind != "image":
            done.append(replace(task, text=table.excerpt(task.path)))
            continue
        try:
            picture = shown.whole(read_again(table, task.path), EDGE, int(result.settings["max_pixels"]))
        except UnreadableImage as error:
            raise DecisionsError(f"{display(task.path)} cannot be shown: {error.reason}") from error
        encoded = base64.b64encode(picture).decode("ascii")
        size += len(encoded)
        if size > MOST_EMBEDDED:
            raise DecisionsError(
                f"{len(done)} of {len(tasks)} images already take {MOST_EMBEDDED >> 20} MiB",
                hint="export fewer with -n, or name where the tool finds the images with --link",
            )
        done.append(replace(task, link=f"data:{shown.media_type(picture)};base64,{encoded}"))
    return done


def _boxes(tasks: Sequence[Task], opened: Callable[[], ImageTable]) -> bool:
    """Whether the items are boxes of pictures. Their names tell where they cannot be."""
    return all("#" in task.path for task in tasks) and opened().boxes is not None


def _said(
    written: dict[Path, bytes], tasks: Sequence[Task], result: AuditResult, wanted: Wanted, out: str | Path
) -> str:
    tool = TOOLS[wanted.tool]
    what = "of the sample, without suggestions" if wanted.sample else "with the most suspicious labels, in order"
    named = " and ".join(str(path) for path in written)
    noun = result.noun
    return (
        f"tasks: {named} ({counted(len(tasks), noun.one, noun.many)} {what})\n"
        f"next: {tool.next_step}, then "
        f"auditor review import {Path(out)} ANSWERS"
    )
