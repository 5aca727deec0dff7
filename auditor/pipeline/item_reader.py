"""Reads texts, and the rows of tables: an encoder that learns no label makes their features."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.compute import hardware
from auditor.config import DEFAULT_BACKBONE, AuditSettings
from auditor.data import table_encoder, text_encoder
from auditor.data.feature_cache import cache_folder
from auditor.data.features import Features
from auditor.data.leaks import without_copies
from auditor.data.sentence_encoder import PREFIX, load_sentences
from auditor.data.table_encoder import TableEncoder
from auditor.data.text_encoder import TextEncoder
from auditor.errors import AuditorError, ConfigError, SourceError
from auditor.model.backbone import Encoder
from auditor.pipeline.job import Job
from auditor.pipeline.reader import Reader, content_hashes
from auditor.sources.base import ImageTable
from auditor.system.arrays import Array
from auditor.system.progress import Update
from auditor.system.text import counted

BY_WORDS = (
    "The texts were read by their words and pairs of words: {} terms in {} dimensions. This encoder knows no meaning. "
    "A sentence encoder finds more where words alone do not tell: --backbone sentence-transformers:NAME."
)

CUT = "{} longer than the {} pieces of words that {} reads. The rest of them was not seen."


def open_item_reader(table: ImageTable, job: Job) -> Reader:
    """The reader of a table of texts or rows.

    Raises
    ------
    ConfigError
        A setting asks for a network of images.
    SourceError
        No column of a table can serve.
    """
    settings = job.settings
    sentences = table.kind == "text" and settings.backbone.startswith(PREFIX)
    _refuse(settings, table.kind, sentences)
    if table.kind == "table":
        return TableReader(table, job)
    return SentenceReader(job) if sentences else TextReader(table, job)


class ItemReader(Reader):
    """What readers of texts and of rows share."""

    not_finite = "its features are NaN or infinite"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.device = hardware.device(job.run.device)

    def features(self, table: ImageTable, update: Update, *, settle: bool) -> tuple[Features, Array]:
        """The hash of each item's content, and what the encoder makes of it. The audited items teach the encoder."""
        read = Features.undecoded(content_hashes(table, update))
        return read, self.encoded(table, read.hashes, update, teach=settle)

    def encoded(self, table: ImageTable, hashes: Sequence[str], update: Update, *, teach: bool) -> Array:
        """float32 [N, D] of a table's items, whose contents have these `hashes`; `teach` for the audited ones."""
        raise NotImplementedError

    def too_many_not_finite(self, table: ImageTable, bad: Sequence[str], n: int) -> AuditorError:
        """See `Reader`."""
        return SourceError(
            f"{self.encoder.name} gives NaN or infinite features for {len(bad)} of {n} items of {table.name}; the "
            f"first is {bad[0]}",
            hint="choose another encoder, or leave these items out",
        )


class TextReader(ItemReader):
    """Reads texts by TF-IDF and a truncated SVD."""

    doing = "Reading texts"

    def __init__(self, table: ImageTable, job: Job) -> None:
        super().__init__(job)
        self.encoder = self._named(text_encoder.width(len(table.frame)))
        self._fitted: TextEncoder | None = None

    def encoded(self, table: ImageTable, hashes: Sequence[str], update: Update, *, teach: bool) -> Array:
        """See `ItemReader`."""
        texts = _texts(table)
        if not teach and self._fitted is not None:
            return self._fitted(texts)
        self._fitted, values = TextEncoder.of(texts)
        self.encoder = self._named(values.shape[1])
        return values

    def notes(self, table: ImageTable, read: Features, values: Array) -> Sequence[str]:
        """How the texts were read."""
        assert self._fitted is not None
        return [BY_WORDS.format(f"{self._fitted.n_terms:,}", values.shape[1])]

    def _named(self, width: int) -> Encoder:
        return Encoder(text_encoder.NAME, "", "", width, width)


class SentenceReader(ItemReader):
    """Reads texts by a network of sentence-transformers."""

    doing = "Reading texts"

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._network = load_sentences(job.settings.backbone, self.device, download=job.download)
        width = self._network.n_features
        self.encoder = Encoder(self._network.name, "published", self._network.sha256, width, width)

    def encoded(self, table: ImageTable, hashes: Sequence[str], update: Update, *, teach: bool) -> Array:
        """See `ItemReader`. What an earlier audit read comes from the feature cache."""
        return self._network.cached(_texts(table), hashes, cache_folder(self.job.run), update)

    def notes(self, table: ImageTable, read: Features, values: Array) -> Sequence[str]:
        """How many texts the network did not read to their end."""
        n, limit = self._network.cut(_texts(table))
        return [CUT.format(counted(n, "text is", "texts are"), limit, self.encoder.name)] if n else []


class TableReader(ItemReader):
    """Reads the rows of a table by its columns."""

    doing = "Reading rows"

    def __init__(self, table: ImageTable, job: Job) -> None:
        super().__init__(job)
        assert table.cells is not None
        cells, self._notes = without_copies(table.cells, table.frame["label"].tolist())
        self._fitted, self._values = TableEncoder.of(cells, table.name, self._notes)
        width = self._fitted.n_features
        self.encoder = Encoder(table_encoder.NAME, "", "", width, width)

    def encoded(self, table: ImageTable, hashes: Sequence[str], update: Update, *, teach: bool) -> Array:
        """See `ItemReader`."""
        assert table.cells is not None
        return self._values if teach else self._fitted(table.cells, table.name)

    def notes(self, table: ImageTable, read: Features, values: Array) -> Sequence[str]:
        """How the columns were read, and which tell the label."""
        return [*self._notes, *self._fitted.plan.notes]


def _texts(table: ImageTable) -> list[str]:
    return [table.read(path).decode("utf-8") for path in table.frame["path"]]


def _refuse(settings: AuditSettings, kind: str, sentences: bool) -> None:
    """Refuse settings for networks of images."""
    asked = {
        "--train": (not settings.trains_head_only, "there is no network to train beyond its head"),
        "--preset": (settings.preset == "study", "the reference study reads images"),
        "--backbone": (settings.backbone != DEFAULT_BACKBONE and not sentences, "no network of images reads them"),
        "--weights": (settings.weights not in ("imagenet", "none"), "no network of images reads them"),
    }
    what = "texts" if kind == "text" else "the rows of a table"
    for option, (used, why) in asked.items():
        if used:
            more = f", or use {PREFIX}NAME" if option == "--backbone" and kind == "text" else ""
            raise ConfigError(f"for {what} {option} does not serve: {why}", hint=f"leave out {option}{more}")
