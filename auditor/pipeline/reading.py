"""From a source to arrays, in one call: the data set, the trusted reference, and what made their features."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from auditor.config import AuditSettings
from auditor.data import reopening, split
from auditor.data.dataset import Dataset
from auditor.data.feature_cache import reach_of
from auditor.data.inputs import Inputs
from auditor.pipeline import checks, looking
from auditor.pipeline.given_reader import GivenReader
from auditor.pipeline.image_reader import open_image_reader
from auditor.pipeline.item_reader import open_item_reader
from auditor.pipeline.job import Job
from auditor.pipeline.reader import Reader
from auditor.result.nouns import Noun, noun_of
from auditor.review.ledger import Ledger
from auditor.sources.base import ImageTable, left_out, outside_hint
from auditor.sources.beside import grouping
from auditor.sources.remote import Reach


def read(source: str | Path | ImageTable, job: Job) -> tuple[Inputs, Ledger]:
    """Open the data set, check that the work can be done, and read items and reference.

    Returns
    -------
    tuple
        What the stages after the pixels read, and the ledger of what people found; it is empty where there is none.

    Raises
    ------
    SourceError, WeightsError, ConfigError, EngineError, DecisionsError
    """
    settings, say = job.settings, job.progress.say
    with job.stage("open", "Opening the data set"):
        reach = reach_of(job.run, job.progress.say)
        table = open_table(source, settings, reach)
        opened = looking.open_ledger("" if isinstance(source, ImageTable) else str(source), settings.ledger)
        reader = open_reader(table, job)
        reference = reopening.open_trusted(settings, table.kind, reach) if settings.reference else None
        noun = noun_of(table.kind)
        with noun.told():
            checks.before_reading(table, reader, settings)
    say(_noted(table.notes, noun))  # before the items are read: a class that is too small may be one of two spellings
    say(noun.of(checks.long_work(table, reader.encoder, settings)))
    with job.stage("features", reader.doing) as update, noun.told():
        reader, data = reader.dataset(table, update)
    say(table.said())
    say(left_out(data.skipped))
    say(_noted((note for note in data.notes if note not in table.notes), noun))
    if data.n_cached:
        fresh = len(data.paths) - data.n_cached
        say(f"  {data.n_cached} {noun.many} were in the cache, {fresh} went through the network")
    trusted = None
    if reference is not None:
        with job.stage("reference", "Reading the reference") as update, noun.told():
            trusted = reader.reference(reference, data, update)
            data = data.settled_by(trusted.trusted, settings.seed)
        say(noun.of(_settled(data)))
    if opened is not None:
        looked = looking.match(data, opened)
        data = data.looked_at(looked)
        say(f"  {looking.in_words(looked.use)}")
    inputs = Inputs(data, trusted, reader.encoder, reader.device, reader.backbone)
    return inputs, Ledger() if opened is None else opened.ledger


def _noted(notes: Iterable[str], noun: Noun) -> str:
    """Notes for the terminal, a line each, in the words of the kind of items; empty where there are none."""
    return "\n".join(f"  note: {noun.of(note)}" for note in notes)


def open_table(source: str | Path | ImageTable, settings: AuditSettings, reach: Reach | None = None) -> ImageTable:
    """The data set's table, reduced to the wanted classes. An address needs a reach."""
    table = source
    if not isinstance(table, ImageTable):
        table = reopening.open_as(str(source), settings, reach)
    if table.doubt is not None and not settings.classes:
        raise table.doubt
    grouping(table, settings.group_columns)  # a column that is not there is an error before any work
    with noun_of(table.kind).told():
        frame = split.check_classes(table.frame, settings.classes, table.name, outside_hint(table.skipped))
    return table if len(frame) == len(table.frame) else table.narrowed(frame)


def open_reader(table: ImageTable, job: Job) -> Reader:
    """The reader for a table's items."""
    if table.given is not None:
        return GivenReader(table, job)
    if table.kind in ("text", "table"):
        return open_item_reader(table, job)
    return open_image_reader(table, job)


def _settled(data: Dataset) -> str:
    """A line for the terminal about audited images that the reference holds too; empty where there are none."""
    found = data.settled()
    if not found["n"]:
        return ""
    return f"  {found['n']} images are in the reference itself, {len(found['wrong'])} of them under another label"
