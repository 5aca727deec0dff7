"""Is a finished audit still the answer? The data set and the settings today are compared with those of the audit.

`previous` asks before an audit: if nothing has changed, nothing is computed again. `require_fresh` asks before a
verdict: `gate --strict-fresh` refuses an audit that is older than its data set. Both rest on `changes`. It reads every
byte of the data set, and it tries again what the audit skipped.

This module loads neither torch nor pyDVL, so that both answers come at once.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from auditor.config import AuditSettings
from auditor.data import images, reopening
from auditor.data.ledger_file import find_ledger, ledger_digest
from auditor.errors import AuditorError, ResultError
from auditor.result import AuditDocument, AuditResult, complete_result
from auditor.sources import spelling
from auditor.sources.base import SETTLED, ImageTable, content_hash
from auditor.sources.beside import beside_digest
from auditor.sources.groups import groups_digest
from auditor.sources.remote import Reach, without_secrets
from auditor.system import versions
from auditor.system.text import display, plain


def previous(folder: Path, source: str, settings: AuditSettings, reach: Reach | None = None) -> AuditResult | None:
    """The finished audit in `folder`, if a new audit would surely give the same; else None.

    It must have the same settings, libraries, weights, images, splits and reference. It is not the answer if the
    backbone gave no finite features for an image: only the backbone can try that again.
    """
    try:
        result = AuditResult.load(folder)
        summary = result.summary
        same = (
            result.settings == settings.as_json()
            and summary["versions"] == versions.installed()
            and not any(entry["reason"] == images.NOT_FINITE for entry in summary["dataset"]["skipped"])
            and (folder / "report.html").is_file()
            and summary["dataset"]["source"] == display(without_secrets(source))
            and _ledger_of(result) == ledger_digest(find_ledger(source, settings.ledger))
            and _same_weights(summary, settings)
            and _same_images(result, source, settings, reach)
            and _same_reference(summary, settings, reach)
        )
    except (ResultError, KeyError, TypeError, AttributeError):
        return None
    return result if same else None


def _same_weights(summary: AuditDocument, settings: AuditSettings) -> bool:
    known = summary["model"]["weights_sha256"]
    if settings.features or settings.probabilities:
        return True  # `_other_numbers` compares them
    if summary["dataset"]["kind"] in ("text", "table"):
        return not known  # the encoder comes with the package; a network of the user's is asked again
    if settings.weights in ("none", "imagenet"):  # torch itself checks the checksum of ImageNet's weights
        return summary["model"]["weights"] == settings.weights
    return _digest(settings.weights) == known


def _digest(weights: str) -> str:
    """The sha256 of a weights file; empty where there is none."""
    path = Path(weights).expanduser()
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _same_images(result: AuditResult, source: str, settings: AuditSettings, reach: Reach | None) -> bool:
    try:
        table = reopening.open_as(source, settings, reach)
    except AuditorError:
        return False  # the audit itself says what is wrong
    if changes(result, table) or _other_numbers(result, table):
        return False
    split = dict(zip(result.ranking["path"], result.ranking["split"], strict=True))
    given = zip(table.frame["path"], table.frame["split"], strict=True)
    return all(not now or split.get(path, now) in (now, SETTLED) for path, now in given)


def _other_numbers(result: AuditResult, table: ImageTable) -> bool:
    """Whether the features, probabilities, groups or columns that a user gives are others than those of the audit."""
    if table.given is not None and table.given.sha256 != result.summary["model"]["weights_sha256"]:
        return True
    dataset = result.summary["dataset"]
    if beside_digest(table, (path for path in table.frame["path"] if path in dataset["hashes"])) != dataset["beside"]:
        return True
    if table.groups is None:
        return bool(dataset["groups"])
    both = [(p, g) for p, g in zip(table.frame["path"], table.groups, strict=True) if p in dataset["hashes"]]
    return groups_digest([p for p, _ in both], [g for _, g in both]) != dataset["groups"]


def _same_reference(summary: AuditDocument, settings: AuditSettings, reach: Reach | None) -> bool:
    return not settings.reference or _reference_now(summary, settings, reach) == summary["reference"]["content_hash"]


def _reference_now(summary: AuditDocument, settings: AuditSettings, reach: Reach | None = None) -> str:
    """The hash of what the reference holds today; empty where it cannot be read, or lies at an address not named."""
    try:
        table = reopening.open_trusted(settings, summary["dataset"]["kind"], reach)
        known = summary["dataset"]["classes"]
        frame = table.frame.assign(label=spelling.resolved(table.frame["label"].tolist(), known))
        frame = frame[frame["label"].isin(known)]
        hashes = [hashlib.sha256(table.read(path)).hexdigest() for path in frame["path"]]
    except (AuditorError, OSError):
        return ""
    return content_hash(frame["path"], hashes, frame["label"])


def require_fresh(
    result: AuditResult,
    open_table: Callable[[str], ImageTable] | None = None,
    *,
    source: str = "",
    out: str | Path | None = None,
) -> None:
    """Refuse an audit that is older than its data set.

    Parameters
    ----------
    open_table
        Opens the source as the user wrote it. By default `reopening.reopen`, with the audit's own settings.
    source, out
        Where the data set lies now, and the audit's folder; see `reopening.reopen`.

    Raises
    ------
    ResultError
        The data set is not what was audited. The message says how many images differ, with an example of each kind. Or
        people have looked at more since: the audit's ledger is another one now. Or the weights file or the reference
        lies here and holds something else.
    SourceError
        The data set cannot be opened.
    """
    with complete_result():
        named = source or str(result.summary["dataset"]["source"])
    table = reopening.reopen(result, source=source, out=out) if open_table is None else open_table(named)
    with complete_result():
        found, other, beside = changes(result, table), _other_numbers(result, table), _other_beside(result, out)
    if beside:
        raise ResultError(f"the audit is older than its {beside}", hint="run the audit again")
    if found:
        raise ResultError(
            f"the audit is older than its data set {plain(named)}: {found.in_words()}", hint="run the audit again"
        )
    if other:
        raise ResultError(
            "the features, probabilities, groups or columns are others than those of the audit",
            hint="run the audit again",
        )
    ledger = find_ledger(table.source, reopening.located(str(result.settings["ledger"]), out))
    if ledger_digest(ledger) != _ledger_of(result):
        what = "it used a ledger that is not there any more" if ledger is None else f"{plain(str(ledger))} has changed"
        raise ResultError(f"the audit is older than what people found: {what}", hint="run the audit again")


def _other_beside(result: AuditResult, out: str | Path | None) -> str:
    """The weights file or the reference, where it lies here and holds something else than for the audit; else empty."""
    summary, said = result.summary, result.summary["settings"]
    weights = reopening.located(str(said["weights"]), out)
    if said["weights"] not in ("none", "imagenet") and _digest(weights) not in ("", summary["model"]["weights_sha256"]):
        return f"weights file {plain(weights)}"
    reference = reopening.located(str(said["reference"]), out) if said["reference"] else ""
    settings = AuditSettings(
        reference=reference,
        columns=said.get("columns", ""),
        label=said.get("label", ""),
        allow_outside=said["allow_outside"],
    )
    if reference and _reference_now(summary, settings) not in ("", summary["reference"]["content_hash"]):
        return f"reference {plain(reference)}"
    return ""


def _ledger_of(result: AuditResult) -> str:
    """The sha256 of the ledger that an audit used; empty where it used none."""
    use = result.summary["ledger"]
    return "" if use is None else use["sha256"]


@dataclass(frozen=True)
class Changes:
    """The paths that have changed since an audit, each group sorted. True if there are any.

    Attributes
    ----------
    added, removed
        Images that are new, and audited images that are gone.
    changed, relabelled
        Audited images with another content, and with another label.
    skipped
        Entries that are left out only now, no longer, or for another reason than in the audit.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    relabelled: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.relabelled or self.skipped)

    def in_words(self) -> str:
        """How many paths each group has, with an example."""
        groups = (
            ("new", self.added),
            ("gone", self.removed),
            ("changed", self.changed),
            ("under another label", self.relabelled),
            ("skipped differently now", self.skipped),
        )
        return "; ".join(f"{len(paths)} {words}, such as {plain(paths[0])}" for words, paths in groups if paths)


def changes(result: AuditResult, table: ImageTable) -> Changes:
    """Compare an audit with its data set today.

    Parameters
    ----------
    table
        The source, opened again. Images that were audited are read, and only their bytes are compared. Images that
        were skipped are decoded again, since the audit keeps only the reason.
    """
    audited = result.summary["dataset"]["hashes"]
    labels = dict(zip(result.ranking["path"], result.ranking["label"], strict=True))
    skipped = {entry["path"] for entry in result.summary["dataset"]["skipped"]}
    classes = set(result.summary["dataset"]["classes"]) if result.summary["settings"]["classes"] else set()
    now = {
        path: label
        for path, label in zip(table.frame["path"], table.frame["label"], strict=True)
        if path not in skipped and (not classes or label in classes or path in audited)
    }
    both = sorted(audited.keys() & now.keys())
    return Changes(
        added=tuple(sorted(now.keys() - audited.keys())),
        removed=tuple(sorted(audited.keys() - now.keys())),
        changed=tuple(path for path, now_hash in _hashed(table, both) if now_hash != audited[path]),
        relabelled=tuple(path for path in both if path in labels and labels[path] != now[path]),
        skipped=_skipped_otherwise(result, table, skipped),
    )


def _hashed(table: ImageTable, paths: Sequence[str]) -> list[tuple[str, str]]:
    """Each path with the sha256 of its image, in the same order. Places far away are asked for many at a time."""
    with ThreadPoolExecutor(table.at_once or 1) as pool:
        return list(zip(paths, pool.map(lambda path: _hash(table, path), paths), strict=True))


def _hash(table: ImageTable, path: str) -> str:
    """The sha256 of an image. Empty if it cannot be read."""
    try:
        return hashlib.sha256(table.read(path)).hexdigest()
    except OSError:
        return ""


def _skipped_otherwise(result: AuditResult, table: ImageTable, skipped: set[str]) -> tuple[str, ...]:
    """Entries that are left out only now, no longer, or for another reason than in the audit."""
    then = Counter((entry["path"], entry["reason"]) for entry in result.summary["dataset"]["skipped"])
    now = Counter((entry.path, entry.reason) for entry in table.skipped)
    if then == now:  # every image could be read
        return ()
    for path in table.frame["path"]:
        if path in skipped:
            reason = _why_skipped(result, table, path)
            for known in (images.NOT_FINITE, images.CLASS_SHOWS_NOTHING):  # only the audit can tell
                if not reason and (path, known) in then:
                    reason = known
            now[path, reason] += 1
    return tuple(sorted({path for path, _ in (then - now) + (now - then)}))


def _why_skipped(result: AuditResult, table: ImageTable, path: str) -> str:
    """Why the same audit would skip an image today. Empty if it would not."""
    settings, size = result.summary["settings"], int(result.summary["model"]["image_size"] or 0)
    try:
        image = images.decode(table.read(path), max_pixels=int(settings["max_pixels"]), target=size)
    except images.UnreadableImage as error:
        return error.message
    except OSError as error:
        return images.why_unread(error)
    if settings["preset"] == "study" and images.is_greyscale(image):
        return images.GREY_DROPPED
    return images.SHOWS_NOTHING if images.shows_nothing(images.resize_rgb(image, size)) else ""
