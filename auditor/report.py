"""The report: one self-contained HTML file made from an audit's result alone, without network, model or clock.

`templates/` holds page, style and scripts; this module turns a result into what they show. Labels and file names are
hostile text: Jinja2 escapes them in HTML, `_script_json` in scripts, and `printable` makes control characters visible.
Equal results give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from auditor import files, plots, review_data
from auditor.result import AuditResult

MAX_PANELS = 12
"""Classes with a histogram and a strip of extreme images of their own; more make a page nobody reads."""
MAX_MATRIX = 15
"""Classes up to which a confusion matrix is shown whole; with more, its largest off-diagonal cells are listed."""
MAX_EXAMPLES = 6
"""Explained test images that stand open; the rest wait behind a summary."""
_STATIC_SUSPECTS = 24
_UNFELT = 1e-6
"""Part of the strongest average influence below which an influence is called none."""
_PICTURE = re.compile(r"data:image/(?:jpeg|png|webp|gif);base64,[A-Za-z0-9+/]+={0,2}\Z")
_STYLES = ("report.css", "review.css")
_SCRIPTS = ("decisions.js", "review.js")


def render(
    result: AuditResult, gate: Mapping[str, Any] | None = None, comparison: Mapping[str, Any] | None = None
) -> str:
    """The report as one HTML document.

    Parameters
    ----------
    result
        What an audit found; nothing else is read.
    gate
        The gate's JSON document (`verdict`, `rules`), shown with the verdict where there is one.
    comparison
        What `auditor.review.compare` says about an earlier audit.
    """
    rows = {str(path): row for row, path in enumerate(result.ranking["path"])}
    pictures = _Pictures(result.evidence.get("thumbnails") or {}, rows)
    environment = _environment(pictures)
    context = _context(result, gate, comparison)
    body = environment.get_template("report.html").render(context)
    data = review_data.payload(result, pictures.urls, pictures.inlined, pictures.later, len(body.encode()))
    script = "\n".join(_template_text(name) for name in _SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    shell = environment.get_template("shell.html")
    return shell.render(
        title=printable(result.summary["dataset"]["name"]),
        style=Markup("\n".join(_template_text(name) for name in _STYLES)),
        body=Markup(body),
        data=Markup(_script_json(data)),
        script=Markup(script),
        script_hash=digest,
    )


def write_report(
    result: AuditResult,
    out: str | Path,
    gate: Mapping[str, Any] | None = None,
    comparison: Mapping[str, Any] | None = None,
) -> Path:
    """Write `report.html` into the folder `out`, whole or not at all, and return its path."""
    path = Path(out) / "report.html"
    files.write_text(path, render(result, gate, comparison))
    return path


def headline(result: AuditResult) -> str:
    """The report's first sentence as plain text, for a terminal."""
    return str(_verdict(result.summary)["sentence"].striptags())


def printable(text: object) -> str:
    """Text as a page or a terminal may show it: control and bidirectional-override characters become visible codes."""
    return "".join(_visible(c) if _hides(c) else c for c in str(text))


def _hides(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in "\u200c\u200d"


def _visible(char: str) -> str:
    return chr(0x2400 + ord(char)) if ord(char) < 0x20 else f"\u27e8U+{ord(char):04X}\u27e9"


def _script_json(document: Any) -> str:
    """JSON that cannot end the script element it stands in, whatever text it carries."""
    text = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class _Pictures:
    """Thumbnails by path; remembers which ones the page carries, so that the scripts' data need not repeat them.

    Parameters
    ----------
    thumbnails
        Data URIs by path, as the result carries them.
    rows
        The ranking's rows by path.
    """

    def __init__(self, thumbnails: Mapping[str, Any], rows: Mapping[str, int]) -> None:
        safe = {p: u for p, u in thumbnails.items() if isinstance(u, str) and _PICTURE.match(u)}
        self.urls: dict[str, str] = safe
        self.inlined: dict[str, int] = {}
        self.later: list[str] = []
        self._rows = rows

    def image(self, path: str, alt: str = "", *, later: bool = False) -> Markup:
        """An `img` element, or a quiet place-holder where the result carries no picture.

        One that is wanted `later` is a place-holder too, into which the scripts put the picture from their data: a
        hundred further examples show the same training images again and again, and most readers never open them.
        """
        url, alt = self.urls.get(path), printable(alt)
        if url is None or (later and path in self._rows):
            row = Markup("")
            if url is not None:
                self.later.append(path)
                row = Markup(' data-row="{}"').format(self._rows[path])
            empty = Markup('<span class="no-picture" role="img" aria-label="{}" title="{}"{}>no picture</span>')
            return empty.format(alt or "no picture", printable(path), row)
        number = self.inlined.setdefault(path, len(self.inlined))
        return Markup('<img src="{}" alt="{}" title="{}" data-picture="{}" decoding="async">').format(
            url, alt, printable(path), number
        )


def _environment(pictures: _Pictures) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["picture"] = pictures.image
    environment.filters.update(
        name=_name,
        share=share,
        pct=percent,
        pcts=percents,
        num=number,
        count=whole,
        few=few,
        signed=signed,
        effect=effect,
        images=_images,
        seconds=_seconds,
    )
    return environment


def _template_text(name: str) -> str:
    return resources.files("auditor.templates").joinpath(name).read_text(encoding="utf-8")


# --- how values read ---------------------------------------------------------------------------------------------


def _name(text: object) -> Markup:
    """A class or file name, isolated so that right-to-left text does not reorder what stands around it."""
    return Markup("<bdi>{}</bdi>").format(printable(text))


def percent(share: float | None) -> str:
    """A share as a percentage with two significant digits at least; never 100% for less than all, nor 0% for some."""
    if share is None:
        return "not known"
    if 0.9995 <= share < 1:
        return "over 99.9%"
    value = float(f"{100 * share:.{2 if share < 0.0995 else 3}g}")
    if value == 0 or value >= 99.95:
        return f"{value:.0f}%"
    if value < 0.1:
        return "under 0.1%"
    digits = 0 if 10 <= value < 99 else 1
    return f"{value:.{digits}f}%"


def share(value: float) -> str:
    """A share that we chose, such as a depth of inspection, without a decimal it does not need."""
    return f"{100 * value:g}%"


def percents(pair: Sequence[float] | None) -> str:
    """An interval of shares."""
    return f"{percent(pair[0])} to {percent(pair[1])}" if pair else "no interval"


def number(value: float | None, digits: int = 3) -> str:
    """A number with some significant digits, or a word where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    if value != 0 and (abs(value) < 1e-3 or abs(value) >= 1e6):
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "\N{MINUS SIGN}")
    rounded = float(f"{value:.{digits}g}")
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded)))) if rounded else 0
    return f"{value:,.{min(places, 6)}f}".replace("-", "\N{MINUS SIGN}")


def whole(value: float | None) -> str:
    """A count with separators; an estimated one is rounded."""
    return "–" if value is None else f"{round(value):,}"


def few(value: float | None) -> str:
    """An expected count as a person says it: whole where it is large, one decimal where it is not."""
    if value is None:
        return "–"
    if 0 < value < 0.05:
        return "<0.1"
    return f"{value:,.0f}" if value >= 9.95 or value == 0 else f"{value:.1f}"


def signed(value: float | None) -> str:
    """A number that always carries its sign."""
    return ("+" if value is not None and value > 0 else "") + number(value)


def effect(value: float, scale: float) -> str:
    """An influence with its sign, or that there is none to speak of beside `scale`, the strongest average one."""
    return "about 0" if abs(value) <= _UNFELT * scale else signed(value)


def _images(n: int) -> str:
    return f"{n:,} image{'' if n == 1 else 's'}"


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 120 else f"{value / 60:.1f} min"


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


def _context(
    result: AuditResult, gate: Mapping[str, Any] | None, comparison: Mapping[str, Any] | None
) -> dict[str, Any]:
    summary = result.summary
    return {
        "s": summary,
        "audit_id": result.audit_id,
        "classes": result.classes,
        "verdict": _verdict(summary),
        "tiles": _tiles(summary),
        "gate": gate,
        "comparison": comparison,
        "suspects": _suspects(result),
        "n_ranked": int(result.ranking["rank"].notna().sum()),
        "recovery": _recovery(summary["recovery"]),
        "pairs": review_data.pairs(result),
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


def _best(rankings: Mapping[str, Any]) -> tuple[str, Any]:
    """The audit's best ranking: by suspicion where there is one, else by influence."""
    name = "suspicion" if rankings.get("suspicion") else "influence"
    return name, rankings[name]


def _verdict(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The sentences a reader takes away, and the state: `suspects`, `unclear`, `clean` or `undecided`."""
    data, recovery, calibration = summary["dataset"], summary["recovery"], summary["calibration"]
    name, best = _best(recovery["rankings"])
    count = calibration["count"] if calibration and calibration["decided"] else None
    if count and count["value"] is None:
        count = None
    open_question = ""
    if not calibration:
        open_question = "This audit does not estimate a number: the list below has an order, but no probabilities."
    elif not count:
        open_question = calibration["reason"]
    estimate, caught = _estimate(data, count, tried=bool(calibration)), _caught(recovery, best)
    return {
        "state": _state(data, count) if count else "undecided",
        "sentence": Markup("{}; {}.").format(estimate, caught),
        "estimate": estimate,
        "caught": caught,
        "test": _against_chance(recovery, best),
        "trusted": _beats_chance(recovery, best),
        "open": open_question,
        "ranking": name,
    }


def _state(data: Mapping[str, Any], count: Mapping[str, Any]) -> str:
    low, high = count["interval"]
    return "suspects" if low >= 1 else "clean" if high < 0.01 * data["n_images"] else "unclear"


def _estimate(data: Mapping[str, Any], count: Mapping[str, Any] | None, *, tried: bool) -> Markup:
    """How many labels are probably wrong, with the interval, or that this could not be decided."""
    n, name = f"{data['n_images']:,}", _name(data["name"])
    if count is None:
        outcome = "could not be decided" if tried else "was not estimated"
        return Markup("How many of the {} labels in {} are wrong <strong>{}</strong>").format(n, name, outcome)
    low, high = count["interval"]
    if round(count["value"]) == 0:
        none = Markup("<strong>At most {} of {}</strong> labels in {} are probably wrong, perhaps none")
        return none.format(whole(high), n, name)
    some = Markup("About <strong>{} of {}</strong> labels in {} are probably wrong (between {} and {})")
    return some.format(whole(count["value"]), n, name, whole(low), whole(high))


def _caught(recovery: Mapping[str, Any], best: Mapping[str, Any]) -> str:
    """How much of the planted noise was found."""
    planted, tenth = recovery["n_planted"], _found_at(best, 0.1)
    what = f"{planted:,} labels" if planted != 1 else "1 label"
    return f"of {what} flipped to test the audit, the first tenth of its list holds {percent(tenth['share'])}"


def _against_chance(recovery: Mapping[str, Any], best: Mapping[str, Any]) -> str:
    """What that find is worth: its interval, and what a list without knowledge would hold."""
    tenth, chance = _found_at(best, 0.1), _found_at(recovery["rankings"]["random"], 0.1)
    said = (
        f"The 95% interval of that find is {percents(tenth['interval'])}; a tenth drawn at random holds "
        f"{percent(chance['share'])}."
    )
    if _beats_chance(recovery, best):
        return said
    return f"{said} The list is no better than chance as far as this test can tell: do not rely on its order."


def _beats_chance(recovery: Mapping[str, Any], best: Mapping[str, Any]) -> bool:
    tenth, chance = _found_at(best, 0.1), _found_at(recovery["rankings"]["random"], 0.1)
    return bool(tenth["interval"] and tenth["interval"][0] > chance["share"])


def _found_at(ranking: Mapping[str, Any], inspected: float) -> Any:
    return min(ranking["found"], key=lambda row: abs(row["inspected"] - inspected))


def _tiles(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Key figures, each with its interval and what it is compared with, on a scale from 0 to 1."""
    recovery, calibration = summary["recovery"], summary["calibration"]
    best = _best(recovery["rankings"])[1]
    chance = recovery["rankings"]["random"]
    tenth, chance_tenth = _found_at(best, 0.1), _found_at(chance, 0.1)
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
        "title": title, "value": value, "interval": interval, "against": against, "word": word,
        "at": _place(value / top), "low": _place(low / top), "high": _place(high / top), "top": top,
        "mark": None if against is None else _place(against / top),
    }  # fmt: skip


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
    found = _found_at(_best(rankings)[1], 0.1)
    label = f"Recovery curve: the first 10% inspected hold {percent(found['share'])} of the planted labels"
    return {**recovery, "rows": rows, "figure": plots.recovery_curve(rankings, label)}


def _histograms(result: AuditResult) -> list[dict[str, Any]]:
    """Per class: clean run's histogram, and planted beside untouched points in the corrupted run."""
    histograms = result.evidence.get("histograms") or {}
    clean, corrupted = histograms.get("clean"), histograms.get("corrupted")
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


def _extremes(result: AuditResult) -> list[dict[str, Any]]:
    wanted = set(_first_classes(result))
    return [row for row in result.evidence.get("extremes") or [] if row["label"] in wanted]


def _scale(result: AuditResult) -> float:
    """The strongest average influence of a training image."""
    rows = result.evidence.get("extremes") or []
    ends = (image for row in rows for end in ("highest", "lowest") for image in row[end])
    return max((abs(image["average_influence"]) for image in ends), default=0.0)


def _examples(result: AuditResult) -> dict[str, Any]:
    """The explained test images, and how many of the wrongly classified ones are among them."""
    scale = _scale(result)
    examples = [_example(e, scale) for e in _wrong_early(result.evidence.get("examples") or [])]
    test = (result.summary["model"].get("clean") or {}).get("test") or {}
    known = test.get("n") and test.get("accuracy") is not None
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
    return {**example, "figure": figure, "legend": legend, "unmoved": 0 < most <= _UNFELT * scale}


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
