"""TODO auditor.report.context."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from auditor.report import payload, plots
from auditor.report.headline import best_ranking, found_at, verdict_context
from auditor.report.wording import UNFELT, number, percent
from auditor.result import AuditResult
from auditor.result.evidence import ExtremesOfClass
from auditor.system.text import printable

MAX_PANELS = 12
"""Classes with a histogram and a strip of extreme images of their own; more make a page nobody reads."""

MAX_MATRIX = 15
"""Classes up to which a confusion matrix is shown whole; with more, its largest off-diagonal cells are listed."""

MAX_EXAMPLES = 6
"""Explained test images that stand open; the rest wait behind a summary."""

_STATIC_SUSPECTS = 24


def wilson(hits: float, n: int) -> tuple[float, float]:
    """95% score interval of a proportion (Wilson 1927)."""
    if n == 0:
        return 0.0, 1.0
    z = 1.959964
    p, denominator = hits / n, 1 + z * z / n
    centre = (p + z * z / (2 * n)) / denominator
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / denominator
    return max(0.0, centre - half), min(1.0, centre + half)


# --- what the page shows -----------------------------------------------------------------------------------------


def page_context(
    result: AuditResult, gate: Mapping[str, Any] | None, comparison: Mapping[str, Any] | None
) -> dict[str, Any]:
    summary = result.summary
    return {
        "s": summary,
        "audit_id": result.audit_id,
        "classes": result.classes,
        "verdict": verdict_context(summary),
        "tiles": _tiles(summary),
        "gate": gate,
        "comparison": comparison,
        "suspects": _suspects(result),
        "n_ranked": int(result.ranking["rank"].notna().sum()),
        "recovery": _recovery(summary["recovery"]),
        "pairs": payload.pairs(result),
        "histograms": _histograms(result),
        "by_class": _by_class(summary),
        "lowest": result.evidence.get("lowest_planted_run") or [],
        "extremes": _extremes(result),
        "scale": _scale(result),
        **_examples(result),
        "quality": _quality(summary["model"], result.classes),
        "losses": _losses(summary["model"]),
        "validated": any(losses.get("val") for losses in _run_losses(summary["model"]).values()),
        "damping_chosen": _damping_chosen(summary),
        "damping": _damping(summary),
        "review_rows": _review_rows(summary["calibration"]),
        "found_shares": _expects_some(summary["calibration"]),
        "next_row": _next_row(summary["calibration"]),
        "max_panels": MAX_PANELS,
        "max_matrix": MAX_MATRIX,
        "max_examples": MAX_EXAMPLES,
        "decided": bool(summary["calibration"] and summary["calibration"]["decided"]),
    }


def _tiles(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Key figures, each with its interval and what it is compared with, on a scale from 0 to 1."""
    recovery, calibration = summary["recovery"], summary["calibration"]
    best = best_ranking(recovery["rankings"])[1]
    chance = recovery["rankings"]["random"]
    tenth, chance_tenth = found_at(best, 0.1), found_at(chance, 0.1)
    tiles = []
    if calibration and calibration["share"] and calibration["share"]["value"] is not None:
        share = calibration["share"]
        top = max(0.05, min(1.0, 1.6 * share["interval"][1]))
        tiles.append(_tile("Labels probably wrong", share["value"], share["interval"], None, "", top=top))
    tiles.append(
        _tile(
            "Planted labels found in the first 10%", tenth["share"], tenth["interval"], chance_tenth["share"], "random"
        )
    )
    k = recovery["n_planted"]
    precision, by_chance = best["precision_at_k"], chance["precision_at_k"]
    title = f"Right among the first {k:,}" if k > 1 else "Right at the first place"
    tiles.append(_tile(title, precision["value"], precision["interval"], by_chance["value"], "random"))
    test = summary["model"]["clean"]["test"]
    if test and test["accuracy"] is not None:
        interval = wilson(test["accuracy"] * test["n"], test["n"])
        tiles.append(
            _tile(
                "Test images classified correctly",
                test["accuracy"],
                interval,
                1 / len(summary["dataset"]["classes"]),
                "guessing",
            )
        )
    return tiles


def _tile(
    title: str, value: float, interval: Sequence[float] | None, against: float | None, word: str, top: float = 1.0
) -> dict[str, Any]:
    low, high = interval or (value, value)
    return {
        "title": title,
        "value": value,
        "interval": interval,
        "against": against,
        "word": word,
        "at": _place(value / top),
        "low": _place(low / top),
        "high": _place(high / top),
        "top": top,
        "mark": None if against is None else _place(against / top),
    }


def _place(share: float) -> str:
    return f"{100 * min(1.0, max(0.0, share)):.2f}%"


def _suspects(result: AuditResult) -> list[dict[str, Any]]:
    """The first suspects, for paper and for readers without scripts."""
    rows = result.ranking[result.ranking["rank"].notna()].head(_STATIC_SUSPECTS)
    columns = ["path", "label", "suggested_label", "average_influence", "p_mislabelled"]
    return [
        {c: None if value != value else value for c, value in zip(columns, row, strict=True)}
        for row in rows[columns].itertuples(index=False)
    ]


def _recovery(recovery: Mapping[str, Any]) -> dict[str, Any]:
    rankings = recovery["rankings"]
    titles = (
        ("suspicion", "Suspicion"),
        ("influence", "Influence alone"),
        ("random", "Random order"),
    )
    rows = [{"name": key, "title": title, **rankings[key]} for key, title in titles if rankings.get(key)]
    found = found_at(best_ranking(rankings)[1], 0.1)
    label = f"Recovery curve: the first 10% inspected hold {percent(found['share'])} of the planted labels"
    return {**recovery, "rows": rows, "figure": plots.recovery_curve(rankings, label)}


def _histograms(result: AuditResult) -> list[dict[str, Any]]:
    """Per class: clean run's histogram, and planted beside untouched points in the corrupted run."""
    histograms = result.evidence["histograms"]
    clean, corrupted = histograms["clean"], histograms["corrupted"]
    panels = []
    for label in _first_classes(result):
        shown = printable(label)
        panel: dict[str, Any] = {"label": label, "clean": None, "corrupted": None}
        if clean and label in clean["counts"]:
            counts = clean["counts"][label]
            panel["clean"] = plots.histogram(
                clean["edges"], [plots.Series(counts, "clean")], f"Average influence of images labelled {shown}"
            )
            panel["n"] = sum(counts)
        if corrupted and label in corrupted["clean"]:
            untouched, planted = corrupted["clean"][label], corrupted["planted"].get(label, [])
            series = [plots.Series(untouched, "clean")] + ([plots.Series(planted, "wrong")] if sum(planted) else [])
            name = f"Average influence of images trained as {shown}: {sum(planted)} planted, {sum(untouched)} others"
            panel["corrupted"] = plots.histogram(corrupted["edges"], series, name)
            panel["n_planted"], panel["n_untouched"] = sum(planted), sum(untouched)
        if panel["clean"] or panel["corrupted"]:
            panels.append(panel)
    return panels


def _first_classes(result: AuditResult) -> list[str]:
    """Every class, or where there are many the ones with most expected errors (else most negative influence)."""
    classes = result.classes
    if len(classes) <= MAX_PANELS:
        return classes
    calibration = result.summary["calibration"]
    if calibration and calibration["by_class"]:
        weight = {row["label"]: float(row["count"] or 0) for row in calibration["by_class"]}
    else:
        bad = result.ranking[result.ranking["average_influence"] < 0]
        weight = {str(k): float(v) for k, v in bad["label"].value_counts().items()}
    return sorted(classes, key=lambda c: (-weight.get(c, 0.0), c))[:MAX_PANELS]


def _by_class(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The study's table of mean influence, with the estimate of wrong labels per class beside it."""
    calibration = summary["calibration"]
    estimated = {row["label"]: row for row in calibration["by_class"]} if calibration else {}
    return [{**row, "estimate": estimated.get(row["label"])} for row in summary["recovery"]["by_class"]]


def _review_rows(calibration: Mapping[str, Any] | None) -> list[Any]:
    """Depths 1, 2, 5, 10 and so on, and the last: a table one can take in at a glance."""
    rows = calibration["review"] if calibration else []
    return [row for row in rows if str(row["k"]).rstrip("0") in ("1", "2", "5") or row is rows[-1]]


def _expects_some(calibration: Mapping[str, Any] | None) -> bool:
    """Whether there is a whole to speak of shares of; unknown counts as yes."""
    count = calibration["count"] if calibration else None
    return not count or count["value"] is None or round(count["value"]) > 0


def _next_row(calibration: Mapping[str, Any] | None) -> Any:
    """What a first sitting of fifty brings, where that is known."""
    rows = calibration["review"] if calibration else []
    if not calibration or not calibration["decided"] or not rows:
        return None
    row = next((row for row in rows if row["k"] >= 50), rows[-1])
    return row if row["expected_found"] is not None else None


def _extremes(result: AuditResult) -> list[ExtremesOfClass]:
    wanted = set(_first_classes(result))
    return [row for row in result.evidence["extremes"] if row["label"] in wanted]


def _scale(result: AuditResult) -> float:
    """The strongest average influence of a training image."""
    rows = result.evidence["extremes"]
    ends = (image for row in rows for end in ("highest", "lowest") for image in row[end])
    return max((abs(image["average_influence"]) for image in ends), default=0.0)


def _examples(result: AuditResult) -> dict[str, Any]:
    """The explained test images, and how many of the wrongly classified ones are among them."""
    scale = _scale(result)
    examples = [_example(e, scale) for e in _wrong_early(result.evidence.get("examples") or [])]
    test = result.summary["model"]["clean"]["test"]
    known = test["n"] > 0
    return {
        "examples": examples,
        "wrong_shown": sum(e["kind"] != "correct" for e in examples),
        "n_wrong": round(test["n"] * (1 - test["accuracy"])) if known else None,
    }


def _wrong_early(examples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Two correct ones to compare with, then every wrong one, then the rest."""
    right = [e for e in examples if e["kind"] == "correct"]
    return [*right[:2], *(e for e in examples if e["kind"] != "correct"), *right[2:]]


def _example(example: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """A test image explained: its influence histogram for its own label, for the predicted one and for the others."""
    histogram = example.get("histogram")
    legend, series = [], []
    if histogram:
        counts = histogram["counts"]
        groups = [(example["label"], "clean", False)]
        if example["predicted"] != example["label"]:
            groups.append((example["predicted"], "wrong", False))
        rest = [counts[c] for c in counts if c not in {g[0] for g in groups}]
        for label, colour, outline in groups:
            if label in counts:
                series.append(plots.Series(counts[label], colour, outline))
                legend.append((colour, label))
        if rest:
            series.insert(0, plots.Series([sum(column) for column in zip(*rest, strict=True)], "muted", outline=True))
            legend.append(
                ("muted", None if len(rest) > 1 else next(c for c in counts if c not in {g[0] for g in groups}))
            )
    figure = None
    if histogram and series:
        label = f"Influence of the training images on a test image labelled {printable(example['label'])}, by label"
        figure = plots.histogram(histogram["edges"], series, label, of="influence on this prediction")
    listed = (image["influence"] for end in ("most", "least") for image in example[end])
    most = max((abs(value) for value in (*listed, *(histogram or {}).get("edges", ()))), default=0.0)
    return {**example, "figure": figure, "legend": legend, "unmoved": 0 < most <= UNFELT * scale}


def _quality(model: Mapping[str, Any], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Test-split quality of both models, with intervals and confusion matrices."""
    runs = []
    for key, title in (("clean", "Trained on the given labels"), ("corrupted", "Trained with planted labels")):
        test = (model.get(key) or {}).get("test")
        if not test or not test["n"]:
            continue
        interval = wilson(test["accuracy"] * test["n"], test["n"])
        runs.append(
            {"key": key, "title": title, **test, "interval": interval, **_confusion(test["confusion"], classes)}
        )
    return runs


def _confusion(matrix: Sequence[Sequence[int]] | None, classes: Sequence[str]) -> dict[str, Any]:
    """Cells with their share of the row for shading, or with many classes the largest confusions."""
    if not matrix:
        return {"matrix": None, "confused": []}
    if len(classes) <= MAX_MATRIX:
        shares = [[(n, n / max(1, sum(row))) for n in row] for row in matrix]
        return {"matrix": list(zip(classes, shares, strict=True)), "confused": []}
    cells = [(n, classes[i], classes[j]) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n]
    return {"matrix": None, "confused": sorted(cells, key=lambda c: (-c[0], c[1], c[2]))[:20]}


def _run_losses(model: Mapping[str, Any]) -> dict[str, Any]:
    return {key: (model.get(key) or {}).get("loss") or {} for key in ("clean", "corrupted")}


def _losses(model: Mapping[str, Any]) -> Markup | None:
    runs = _run_losses(model)
    if not any(losses.get("train") for losses in runs.values()):
        return None
    return plots.loss_curves(
        runs, "Loss per epoch of the model trained on the given labels and of the one with planted labels"
    )


def _damping_chosen(summary: Mapping[str, Any]) -> bool:
    """Whether recovery chose the damping of the influence shown here: it does for the last layer alone."""
    automatic = summary["settings"].get("damping", "auto") == "auto"
    return bool(summary["damping_choice"]) and automatic and summary["model"]["trained"] == "head"


def _damping(summary: Mapping[str, Any]) -> Markup | None:
    choice = [c for c in summary["damping_choice"] or [] if c["score"] is not None]
    if len(choice) < 2 or not _damping_chosen(summary):
        return None
    damping = summary["influence"]["damping"]
    return plots.damping_choice(choice, damping, f"Recovery of planted labels by damping; {number(damping)} was chosen")
