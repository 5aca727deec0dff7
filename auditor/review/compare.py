"""TODO auditor.review.compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from auditor.result import AuditResult
from auditor.result.figures import Estimate

_SUSPECT = 0.5
"""Probability from which a comparison counts an image as a suspect: more likely wrong than right."""


# --- comparing two audits ----------------------------------------------------------------------------------------


def compare(result: AuditResult, earlier: AuditResult) -> dict[str, Any]:
    """What changed from an earlier audit to this one; images are matched by content, not by path.

    Returns
    -------
    dict
        `estimate` {earlier, now} ({value, interval} or None), `images` {added, removed, relabelled}, `suspects`
        {earlier, now, relabelled, removed, cleared, remaining, new} (None without probabilities in both), `settings`
        that differ, and `sentences` that say all this.
    """
    before, now = _by_content(earlier), _by_content(result)
    gone = sum((Counter(_hashes(before)) - Counter(_hashes(now))).values())
    added = sum((Counter(_hashes(now)) - Counter(_hashes(before))).values())
    new_labels = _labels(now)
    relabelled = [key for key in before if key[0] in new_labels and key[1] not in new_labels[key[0]]]
    estimates = {"earlier": _estimate(earlier), "now": _estimate(result)}
    suspects = _suspects(before, now) if estimates["earlier"] and estimates["now"] else None
    settings = _changed_settings(result, earlier)
    images = {"added": added, "removed": gone, "relabelled": len(relabelled)}
    document = {
        "earlier_audit_id": earlier.audit_id,
        "audit_id": result.audit_id,
        "estimate": estimates,
        "images": images,
        "suspects": suspects,
        "settings": settings,
    }
    return {**document, "sentences": _sentences(document)}


_Content = dict[tuple[str, str], tuple[int, float]]


def _by_content(result: AuditResult) -> _Content:
    """How many images have a content and label, and the highest probability among them."""
    hashes = result.summary["dataset"]["hashes"]
    found: _Content = {}
    columns = (result.ranking[c] for c in ("path", "label", "p_mislabelled"))
    for path, label, p in zip(*columns, strict=True):
        key = (hashes[path], label)
        count, highest = found.get(key, (0, 0.0))
        found[key] = (count + 1, max(highest, p if p == p else 0.0))
    return found


def _hashes(content: _Content) -> dict[str, int]:
    total: Counter[str] = Counter()
    for (hash, _), (count, _) in content.items():
        total[hash] += count
    return dict(total)


def _labels(content: _Content) -> dict[str, set[str]]:
    labels: dict[str, set[str]] = {}
    for hash, label in content:
        labels.setdefault(hash, set()).add(label)
    return labels


def _suspects(before: _Content, now: _Content) -> dict[str, int]:
    labels = _labels(now)
    old = {key for key, (_, p) in before.items() if p >= _SUSPECT}
    new = {key for key, (_, p) in now.items() if p >= _SUSPECT}
    fates = Counter(
        "removed"
        if hash not in labels
        else "relabelled"
        if label not in labels[hash]
        else "remaining"
        if (hash, label) in new
        else "cleared"
        for hash, label in old
    )
    return {
        "earlier": len(old),
        "now": len(new),
        "new": len(new - old),
        **{k: fates[k] for k in ("relabelled", "removed", "cleared", "remaining")},
    }


def _estimate(result: AuditResult) -> Estimate | None:
    calibration = result.summary["calibration"]
    if not calibration or not calibration["decided"] or not calibration["count"]:
        return None
    return calibration["count"]


def _changed_settings(result: AuditResult, earlier: AuditResult) -> dict[str, list[Any]]:
    old, new = dict(earlier.settings), dict(result.settings)
    return {key: [old.get(key), new[key]] for key in new if old.get(key) != new[key]}


def _sentences(found: Mapping[str, Any]) -> list[str]:
    images, suspects = found["images"], found["suspects"]
    old, new = found["estimate"]["earlier"], found["estimate"]["now"]
    sentences = []
    if old and new:
        sentences.append(f"The earlier audit estimated {_figure(old)} wrong labels, this one {_figure(new)}.")
    else:
        sentences.append("The number of wrong labels was not estimated in both audits, so it cannot be compared.")
    changes = [f"{images[key]:,} {key}" for key in ("relabelled", "removed", "added") if images[key]]
    sentences.append(f"Images: {', '.join(changes)}." if changes else "No image or label has changed.")
    if suspects and not suspects["earlier"] and not suspects["now"]:
        sentences.append("In neither audit is any single image more likely wrong than right.")
    elif suspects:
        sentences.append(
            f"Earlier suspects (more likely wrong than right): {suspects['earlier']:,}; of them relabelled: "
            f"{suspects['relabelled']:,}, removed: {suspects['removed']:,}, no longer suspects: "
            f"{suspects['cleared']:,}, still suspects: {suspects['remaining']:,}. New suspects: {suspects['new']:,}."
        )
    if found["settings"]:
        sentences.append(
            f"Settings differ ({', '.join(sorted(found['settings']))}), so the figures are not of one kind."
        )
    return sentences


def _figure(estimate: Estimate) -> str:
    low, high = estimate["interval"]
    return f"{round(estimate['value']):,} ({round(low):,} to {round(high):,})"
