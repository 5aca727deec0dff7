"""Two audits side by side: what became of the images, their labels and the suspects in between."""

from __future__ import annotations

import math
from collections import Counter

from auditor.result import AuditResult
from auditor.result.comparison import ComparedEstimates, ComparedImages, ComparedSuspects, Comparison
from auditor.result.figures import Estimate
from auditor.result.nouns import Noun
from auditor.system.text import counted

_SUSPECT = 0.5
"""From this probability on an image counts as a suspect: it is more likely wrong than right."""

_Key = tuple[str, str]
"""The sha256 of an image and its label."""

_Content = dict[_Key, tuple[int, float]]
"""How many images have a content and label, and the highest probability among them."""


def compare(result: AuditResult, earlier: AuditResult) -> Comparison:
    """What changed from an earlier audit to this one. Images are matched by content, not by path."""
    before, now = _by_content(earlier), _by_content(result)
    estimate: ComparedEstimates = {"earlier": _estimate(earlier), "now": _estimate(result)}
    images = _images(before, now)
    suspects = _suspects(before, now, _looked_at(result)) if estimate["earlier"] and estimate["now"] else None
    settings = _changed_settings(result, earlier)
    return {
        "earlier_audit_id": earlier.audit_id,
        "audit_id": result.audit_id,
        "estimate": estimate,
        "images": images,
        "suspects": suspects,
        "settings": settings,
        "sentences": [
            _estimate_sentence(estimate),
            _images_sentence(images, result.noun),
            *_suspects_sentences(suspects, result.noun),
            *_settings_sentences(settings),
        ],
    }


def _by_content(result: AuditResult) -> _Content:
    hashes = result.summary["dataset"]["hashes"]
    found: _Content = {}
    columns = (result.ranking[c] for c in ("path", "label", "p_mislabelled"))
    for path, label, p in zip(*columns, strict=True):
        key = (hashes[path], label)
        count, highest = found.get(key, (0, 0.0))
        found[key] = (count + 1, max(highest, p if p == p else 0.0))
    return found


def _images(before: _Content, now: _Content) -> ComparedImages:
    old, new, new_labels = _counts(before), _counts(now), _labels(now)
    relabelled = [(hash, label) for hash, label in before if label not in new_labels.get(hash, {label})]
    return {
        "added": (new - old).total(),
        "removed": (old - new).total(),
        "relabelled": len(relabelled),
    }


def _counts(content: _Content) -> Counter[str]:
    """How many images have each content, under any label."""
    total: Counter[str] = Counter()
    for (hash, _), (count, _) in content.items():
        total[hash] += count
    return total


def _labels(content: _Content) -> dict[str, set[str]]:
    """The labels of each content."""
    labels: dict[str, set[str]] = {}
    for hash, label in content:
        labels.setdefault(hash, set()).add(label)
    return labels


def _looked_at(result: AuditResult) -> set[_Key]:
    """Contents and labels that somebody has looked at, as this audit knows."""
    hashes, rows = result.summary["dataset"]["hashes"], result.ranking
    rows = rows[rows["looked"].fillna("") != ""]
    return {(hashes[path], label) for path, label in zip(rows["path"], rows["label"], strict=True)}


def _suspects(before: _Content, now: _Content, looked_at: set[_Key]) -> ComparedSuspects:
    labels = _labels(now)
    old = {key for key, (_, p) in before.items() if p >= _SUSPECT}
    new = {key for key, (_, p) in now.items() if p >= _SUSPECT}
    gone = {key for key in old if key[0] not in labels}
    relabelled = {(hash, label) for hash, label in old - gone if label not in labels[hash]}
    remaining = old & new
    return {
        "earlier": len(old),
        "now": len(new),
        "new": len(new - old),
        "relabelled": len(relabelled),
        "removed": len(gone),
        "cleared": len(old - gone - relabelled - remaining),
        "remaining": len(remaining),
        "seen": len((old - gone - relabelled) & looked_at),
    }


def _estimate(result: AuditResult) -> Estimate | None:
    """The number of wrong labels, where the audit could estimate it."""
    calibration = result.summary["calibration"]
    return calibration["count"] if calibration and calibration["decided"] else None


def _changed_settings(result: AuditResult, earlier: AuditResult) -> dict[str, list[object]]:
    """Each setting that differs, with its earlier and its present value."""
    old, new = dict(earlier.settings), dict(result.settings)
    return {key: [old.get(key), new[key]] for key in new if old.get(key) != new[key]}


def _estimate_sentence(estimate: ComparedEstimates) -> str:
    old, new = estimate["earlier"], estimate["now"]
    if old and new:
        return f"The earlier audit estimated {_figure(old)} wrong labels, this one {_figure(new)}."
    return "The number of wrong labels was not estimated in both audits, so it cannot be compared."


def _images_sentence(images: ComparedImages, noun: Noun) -> str:
    counts = {"relabelled": images["relabelled"], "removed": images["removed"], "added": images["added"]}
    changes = [f"{count:,} {word}" for word, count in counts.items() if count]
    return f"{noun.title}: {', '.join(changes)}." if changes else f"No {noun.one} or label has changed."


def _suspects_sentences(suspects: ComparedSuspects | None, noun: Noun) -> list[str]:
    if suspects is None:
        return []
    if not suspects["earlier"] and not suspects["now"]:
        return [f"In neither audit is any single {noun.one} more likely wrong than right."]
    return [*_earlier_sentences(suspects), *_new_sentences(suspects)]


def _earlier_sentences(suspects: ComparedSuspects) -> list[str]:
    """What became of the earlier suspects. Those that nobody has looked at come first again."""
    if not suspects["earlier"]:
        return []
    corrected = suspects["relabelled"] + suspects["removed"]
    unseen = suspects["cleared"] + suspects["remaining"] - suspects["seen"]
    earlier = counted(suspects["earlier"], "earlier suspect", "earlier suspects")
    said = [f"You corrected {corrected:,} of {earlier} (labels more likely wrong than right)."]
    if suspects["seen"]:
        said.append(f"Somebody looked at {suspects['seen']:,} more and left the label as it is.")
    if unseen:
        left = f"the other {unseen:,}" if corrected or suspects["seen"] else "them"
        still = suspects["remaining"]
        doubt = f" ({still:,} of these are still suspects)" if still and unseen > still else ""
        said.append(f"Nobody has looked at {left}: check them first{doubt}.")
    return said


def _new_sentences(suspects: ComparedSuspects) -> list[str]:
    new = suspects["new"]
    return [f"{counted(new, 'label is', 'labels are')} under suspicion for the first time."] if new else []


def _settings_sentences(settings: dict[str, list[object]]) -> list[str]:
    if not settings:
        return []
    return [f"Settings differ ({', '.join(sorted(settings))}). The figures may differ for this reason alone."]


def _figure(estimate: Estimate) -> str:
    low, high = estimate["interval"]
    return f"{round(estimate['value']):,} ({math.floor(low):,} to {math.ceil(high):,})"
