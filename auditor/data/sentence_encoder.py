"""Texts to features by a network of the sentence-transformers library (extra `sentences`).

`--backbone sentence-transformers:NAME` names a folder on this machine, or a model of the Hugging Face hub. Weights are
read from safetensors alone, so nothing is unpickled. The network is asked only with `--download`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.data.feature_cache import FeatureCache
from auditor.errors import ConfigError, WeightsError
from auditor.model import vision
from auditor.system.arrays import Array
from auditor.system.files import reason
from auditor.system.progress import Update

PREFIX = "sentence-transformers:"
"""How `--backbone` names such a network."""

FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
"""What is fetched of a model: weights, settings and vocabulary. Python and pickle are not."""

PICKLED = (".bin", ".pt", ".pth", ".pkl", ".ckpt")

OWN = "sentence_transformers."
"""Where the parts of a model may come from. A model can name any class of any package; no other is loaded."""

BATCH, STEP, KEEP = 32, 256, 1024
"""Texts in a forward pass, between two reports of progress, and in a file of the cache."""


@dataclass(frozen=True)
class SentenceEncoder:
    """A network that reads texts, as it was published. No label of the data set has touched it.

    Attributes
    ----------
    name, sha256
        As the user named it, and over its files, in hexadecimal.
    model
        The library's `SentenceTransformer`.
    """

    name: str
    sha256: str
    model: Any

    @property
    def n_features(self) -> int:
        """D, the length of an embedding."""
        return int(self.model.get_embedding_dimension())

    def __call__(self, texts: Sequence[str], update: Update) -> Array:
        """Features float32 [N, D]."""
        parts = [np.empty((0, self.n_features), np.float32)]
        for start in range(0, len(texts), STEP):
            some = list(texts[start : start + STEP])
            parts.append(self.model.encode(some, batch_size=BATCH, convert_to_numpy=True, show_progress_bar=False))
            update(start + len(some), len(texts))
        return np.concatenate(parts).astype(np.float32, copy=False)

    def cached(self, texts: Sequence[str], hashes: Sequence[str], folder: Path, update: Update) -> Array:
        """The same, from the feature cache in `folder` where it has a text; `hashes` are N sha256 in hexadecimal.

        What is new goes into the cache, `KEEP` texts at a time. So a killed audit keeps what it has read.
        """
        cache = FeatureCache(folder, {"sentences": self.sha256, "libraries": _versions()}, self.n_features)
        new = [at for at, digest in enumerate(hashes) if cache.get(digest) is None]
        known = len(hashes) - len(new)
        for start in range(0, len(new), KEEP):
            part = new[start : start + KEEP]
            values = self([texts[at] for at in part], _after(known + start, len(texts), update))
            cache.add([hashes[at] for at in part], values, np.zeros(len(part), np.int32))
        rows = [cache.get(digest) for digest in hashes]
        empty = np.full(self.n_features, np.nan, np.float32)  # the cache keeps no row that is not finite
        return np.stack([empty if row is None else row[0] for row in rows])

    def cut(self, texts: Sequence[str]) -> tuple[int, int]:
        """How many texts are longer than the network reads, and how many pieces of words it reads."""
        limit = int(self.model.max_seq_length or 0)
        if not limit:
            return 0, 0
        long = [text for text in texts if len(text) > limit]  # a piece has a character at least
        if not long:
            return 0, limit
        lengths = self.model.tokenizer(long, truncation=False, verbose=False)["input_ids"]
        return sum(len(pieces) > limit for pieces in lengths), limit


def load_sentences(backbone: str, device: str, *, download: bool) -> SentenceEncoder:
    """The network that `backbone` names, after `PREFIX`.

    Raises
    ------
    ConfigError
        The library is not installed.
    WeightsError
        There is no such model here, it is damaged, or it would have to be unpickled.
    """
    name = backbone.removeprefix(PREFIX)
    folder = Path(name) if Path(name).is_dir() else _fetched(name, download)
    _check(folder, name)
    library = _library("sentence_transformers")
    _library("transformers.utils.logging").disable_progress_bar()  # the audit shows its own
    try:
        model = library.SentenceTransformer(
            str(folder), device=device, local_files_only=True, model_kwargs={"use_safetensors": True}
        )
    except Exception as error:  # the library raises many kinds
        raise WeightsError(
            f"the model {name} cannot be loaded: {reason(error).splitlines()[0][:200]}", hint="check its files"
        ) from error
    return SentenceEncoder(backbone if Path(name) != folder else PREFIX + folder.name, _digest(folder), model.eval())


def _after(before: int, n: int, update: Update) -> Update:
    """Progress of a part, where `before` of all `n` were done before it."""
    return lambda done, total: update(before + done, n)


def _versions() -> list[str]:
    """Versions of the libraries that decide an embedding."""
    return [importlib.metadata.version(name) for name in ("sentence-transformers", "transformers", "torch")]


def _library(module: str) -> Any:
    vision.models()  # transformers imports torchvision, which opens by this door alone
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"the library for {PREFIX}NAME is not installed: {error}", hint="pip install 'auditor[sentences]'"
        ) from error


def _fetched(name: str, download: bool) -> Path:
    """The folder of a model of the hub: from its cache, or from the network where that is allowed."""
    hub = _library("huggingface_hub")
    full = name if "/" in name else f"sentence-transformers/{name}"
    try:
        return Path(hub.snapshot_download(full, allow_patterns=list(FILES), local_files_only=not download))
    except Exception as error:  # the hub raises many kinds
        what = f"could not be fetched: {reason(error).splitlines()[0][:200]}" if download else "is not on this machine"
        raise WeightsError(
            f"the model {full} {what}",
            hint="give the folder of a model, or add --download to fetch it from the Hugging Face hub",
        ) from error


def _check(folder: Path, name: str) -> None:
    """Refuse a model that would run code or be unpickled."""
    try:
        parts = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        kinds = [str(part["type"]) for part in parts]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{name} is no folder of a sentence-transformers model: modules.json cannot be read",
            hint="give the folder that SentenceTransformer.save wrote",
        ) from error
    foreign = [kind for kind in kinds if not kind.startswith(OWN)]
    if foreign:
        raise WeightsError(
            f"the model {name} asks for code of its own, {foreign[0][:80]}", hint="choose a model without such code"
        )
    if not any(folder.rglob("*.safetensors")):
        raise WeightsError(f"the model {name} has no safetensors file", hint="choose a model that has its weights so")
    for file in sorted(folder.rglob("*")):
        if file.suffix in PICKLED and not any(file.parent.glob("*.safetensors")):
            raise WeightsError(
                f"the model {name} holds pickled weights: {file.relative_to(folder).as_posix()}",
                hint="save it again, as safetensors",
            )


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted({file for pattern in FILES for file in folder.rglob(pattern)}):
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{file.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()
