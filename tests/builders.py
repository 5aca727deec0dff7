"""Synthetic audit results for tests: complete by docs/schema.md, made from a simulated audit, without any model.

The figures are measured on the simulated ranking, so they agree with each other: what the summary says about
recovery is what the rows of `planted` give.
"""

from __future__ import annotations

import base64
import copy
import functools
import hashlib
import io
import operator
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from auditor.result import PLANTED_COLUMNS, RANKING_COLUMNS, AuditResult
from auditor.result.ceiling import at_random, ceiling_of
from auditor.result.nouns import Noun, noun_of

HOSTILE_CLASSES = (
    "<script>window.hacked=1</script>",
    "</script><img src=x onerror=window.hacked=2>",
    "=cmd|' /C calc'!A0",
    "\x1b[31mred\x07",
    "\u202egnp.exe",
    '" onmouseover="window.hacked=3',
    "{{ 7*7 }} %s ${1}",
    "<!--<script>",
)
CLASSES = ("boats", "tables")
SHARE_WRONG = 0.05


def make_result(
    n: int = 200,
    classes: tuple[str, ...] | int = CLASSES,
    planted_rate: float = 0.1,
    seed: int = 0,
    calibrated: bool = True,
    hostile: bool = False,
    thumbnails: int = 60,
    share_wrong: float = SHARE_WRONG,
    examples: int = 2,
) -> AuditResult:
    """A result of an audit of `n` images that never existed.

    Parameters
    ----------
    classes
        Names, or a number of them.
    calibrated
        False leaves `calibration`, `p_mislabelled` and the ranking by suspicion empty, as an audit that stopped short
        of detection does: images outside the training split then have no rank.
    hostile
        Class names and file names that attack HTML, scripts, spreadsheets and terminals (`classes` is ignored).
    thumbnails
        Suspects with a picture.
    share_wrong
        Share of given labels that are wrong; `true_labels` with the same arguments tells which.
    """
    kind = classes if isinstance(classes, int) else tuple(classes)
    return copy.deepcopy(_made(n, kind, planted_rate, seed, calibrated, hostile, thumbnails, share_wrong, examples))


@functools.lru_cache(maxsize=32)
def _made(
    n: int,
    classes: tuple[str, ...] | int,
    planted_rate: float,
    seed: int,
    calibrated: bool,
    hostile: bool,
    thumbnails: int,
    share_wrong: float,
    examples: int,
) -> AuditResult:
    images = _images(n, _names(classes, hostile), seed, hostile, share_wrong)
    names = _names(classes, hostile)
    rng = np.random.default_rng([seed, 2])
    ranking = _ranking(images, names, rng, calibrated)
    planted = _planted(images, names, planted_rate, rng, calibrated)
    summary = _summary(images, names, ranking, planted, planted_rate, seed, calibrated)
    if calibrated:
        n, k, share = len(planted), int(planted["planted"].sum()), summary["calibration"]["share"]
        summary["recovery"]["ceiling"] = ceiling_of(n, k, [at_random(n, k, len(names))], share)
    evidence = _evidence(images, names, ranking, planted, thumbnails, examples, rng)
    return AuditResult(summary, ranking, planted, evidence)


def true_labels(
    n: int = 200,
    classes: tuple[str, ...] | int = CLASSES,
    seed: int = 0,
    hostile: bool = False,
    share_wrong: float = SHARE_WRONG,
    **_: Any,
) -> dict[str, str]:
    """What each image of `make_result` with the same arguments really shows, by path."""
    images = _images(n, _names(classes, hostile), seed, hostile, share_wrong)
    return dict(zip(images["path"], images["truth"], strict=True))


def _names(classes: tuple[str, ...] | int, hostile: bool) -> list[str]:
    if hostile:
        return sorted(HOSTILE_CLASSES)
    return [f"class {i:02d}" for i in range(classes)] if isinstance(classes, int) else list(classes)


def _images(n: int, names: list[str], seed: int, hostile: bool, share_wrong: float) -> pd.DataFrame:
    """The simulated data set, sorted by path: path, split, label, truth and whether the label is wrong."""
    rng = np.random.default_rng([seed, 1])
    truth = np.arange(n) % len(names)
    given = truth.copy()
    wrong = rng.random(n) < share_wrong
    given[wrong] = (truth[wrong] + rng.integers(1, len(names), wrong.sum())) % len(names)
    split = np.array(["train"] * 8 + ["val", "test"])[(np.arange(n) // len(names)) % 10]
    stem = "../<b>&\"'`\x1b]0;t\x07=1+1 {:05d}.png" if hostile else "{:05d}.png"
    folder = (lambda name: name.replace("/", "_")) if hostile else str
    frame = pd.DataFrame(
        {
            "path": [
                f"{s}/{folder(names[g])}/{stem.format(i)}" for i, (s, g) in enumerate(zip(split, given, strict=True))
            ],
            "split": split,
            "label": np.array(names, dtype=object)[given],
            "truth": np.array(names, dtype=object)[truth],
            "wrong": wrong,
        }
    )
    return frame.sort_values("path", ignore_index=True)


def _order(frame: pd.DataFrame, by: str, ascending: bool) -> pd.Series:
    """1-based places by a column, ties broken by path, NaN without a place."""
    place = frame.sort_values([by, "path"], ascending=[ascending, True], na_position="last").index
    ranks = pd.Series(np.arange(1.0, len(frame) + 1), index=place).reindex(frame.index)
    return ranks.where(frame[by].notna())


def _other(labels: pd.Series, names: list[str], rng: np.random.Generator) -> np.ndarray:
    index = {name: i for i, name in enumerate(names)}
    code = labels.map(index).to_numpy()
    # mostly the next class, so that there are confused pairs
    step = np.where(rng.random(len(labels)) < 0.7, 1, rng.integers(1, len(names), len(labels)))
    return np.array(names, dtype=object)[(code + step) % len(names)]


def _ranking(images: pd.DataFrame, names: list[str], rng: np.random.Generator, calibrated: bool) -> pd.DataFrame:
    frame = images[["path", "split", "label"]].copy()
    wrong = images["wrong"].to_numpy()
    frame["suggested_label"] = np.where(wrong, images["truth"], _other(images["label"], names, rng))
    influence = rng.normal(np.where(wrong, -0.4, 0.5), 0.25) * 1e-2
    train = (images["split"] == "train").to_numpy()
    frame["average_influence"] = np.where(train, influence, np.nan)
    frame["influence_rank"] = _order(frame, "average_influence", ascending=True)
    if calibrated:
        score = rng.normal(np.where(wrong, 2.5, -3.5), 1.2)
        frame["suspicion"] = score
        frame["p_mislabelled"] = 1 / (1 + np.exp(-score))
    else:
        frame["suspicion"] = -frame["average_influence"]
        frame["p_mislabelled"] = np.nan
    frame["rank"] = _order(frame, "suspicion", ascending=False)
    frame = frame.sort_values(["rank", "path"], na_position="last", ignore_index=True).assign(looked="")
    return frame[list(RANKING_COLUMNS)]


def _planted(
    images: pd.DataFrame, names: list[str], rate: float, rng: np.random.Generator, calibrated: bool
) -> pd.DataFrame:
    frame = images[images["split"] == "train"][["path", "label", "wrong"]].reset_index(drop=True)
    planted = np.zeros(len(frame), dtype=bool)
    planted[rng.permutation(len(frame))[: max(1, round(rate * len(frame)))]] = True
    frame["trained_label"] = np.where(planted, _other(frame["label"], names, rng), frame["label"])
    frame["planted"] = planted
    bad = planted ^ frame["wrong"].to_numpy()
    frame["average_influence"] = rng.normal(np.where(bad, -0.25, 0.4), 0.28) * 1e-2
    frame["influence_rank"] = _order(frame, "average_influence", ascending=True).astype(int)
    score = rng.normal(np.where(bad, 2.2, -3.2), 1.2) if calibrated else -frame["average_influence"]
    frame["suspicion"] = score
    frame["rank"] = _order(frame, "suspicion", ascending=False).astype(int)
    return frame.sort_values("rank", ignore_index=True)[list(PLANTED_COLUMNS)]


def _figure(value: float, half: float = 0.05) -> dict[str, Any]:
    return {"value": round(value, 6), "interval": [round(max(0.0, value - half), 6), round(min(1.0, value + half), 6)]}


def _recovered(hits: np.ndarray) -> dict[str, Any]:
    """Recovery figures of an order, by definition: `hits` says for each place whether a planted point stands there."""
    n, k = len(hits), int(hits.sum())
    found = np.cumsum(hits) / k
    precision = np.cumsum(hits) / np.arange(1, n + 1)
    places = np.flatnonzero(hits)
    auroc = float(np.mean([(n - p - 1 - (k - 1 - j)) / (n - k) for j, p in enumerate(places)]))
    at = np.unique(np.linspace(1, n, min(n, 101)).astype(int)) - 1
    curve = {
        "inspected": [0.0, *((at + 1) / n).tolist()],
        "found": [0.0, *found[at].tolist()],
        "low": [0.0, *np.clip(found[at] - 0.04, 0, 1).tolist()],
        "high": [0.0, *np.clip(found[at] + 0.04, 0, 1).tolist()],
    }
    shares = []
    for share in (0.05, 0.1, 0.2):
        value = float(found[max(0, round(share * n) - 1)])
        shares.append({"inspected": share, "share": value, "interval": _figure(value)["interval"]})
    return {
        "precision_at_k": _figure(float(precision[k - 1])),
        "recall_at_k": _figure(float(found[k - 1])),
        "average_precision": _figure(float(precision[places].mean())),
        "auroc": _figure(auroc),
        "found": shares,
        "curve": curve,
    }


def _chance(rate: float) -> dict[str, Any]:
    steps = np.linspace(0, 1, 101).tolist()
    return {
        "precision_at_k": _figure(rate, 0.02),
        "recall_at_k": _figure(rate, 0.02),
        "average_precision": _figure(rate, 0.02),
        "auroc": _figure(0.5, 0.04),
        "found": [{"inspected": s, "share": s, "interval": _figure(s, 0.02)["interval"]} for s in (0.05, 0.1, 0.2)],
        "curve": {"inspected": steps, "found": steps, "low": steps, "high": steps},
    }


def _recovery(planted: pd.DataFrame, names: list[str], rate: float, calibrated: bool) -> dict[str, Any]:
    by_class = []
    for name in names:
        rows = planted[planted["trained_label"] == name]
        a, b = rows[rows["planted"]]["average_influence"].mean(), rows[~rows["planted"]]["average_influence"].mean()
        means = [None if np.isnan(x) else float(x) for x in (a, b, a - b)]
        by_class.append(
            {
                "label": name,
                "n_planted": int(rows["planted"].sum()),
                "n_clean": int((~rows["planted"]).sum()),
                "mean_planted": means[0],
                "mean_clean": means[1],
                "difference": means[2],
            }
        )
    influence = planted.sort_values("influence_rank")["planted"].to_numpy()
    return {
        "noise": "uniform",
        "rate": rate,
        "n": len(planted),
        "n_planted": int(planted["planted"].sum()),
        "rankings": {
            "influence": _recovered(influence),
            "suspicion": _recovered(planted["planted"].to_numpy()) if calibrated else None,
            "random": _chance(float(planted["planted"].mean())),
            "listed": "suspicion" if calibrated else "influence",
        },
        "by_class": by_class,
        "repeats": 3,
        "ceiling": None,
    }


def _calibration(ranking: pd.DataFrame, names: list[str]) -> dict[str, Any]:
    p = ranking["p_mislabelled"]
    total, n = float(p.sum()), len(ranking)

    def spread(count: float) -> list[float]:
        return [round(max(0.0, count - 2 * count**0.5 - 1), 3), round(count + 2 * count**0.5 + 1, 3)]

    by_class, by_pair = [], []
    for name in names:
        rows = p[ranking["label"] == name]
        count, size = float(rows.sum()), max(1, len(rows))
        low, high = spread(count)
        by_class.append(
            {
                "label": name,
                "n": len(rows),
                "count": count,
                "share": count / size,
                "share_interval": [min(1.0, low / size), min(1.0, high / size)],
            }
        )
    for (label, suggested), rows in p.groupby([ranking["label"], ranking["suggested_label"]]):
        by_pair.append(
            {
                "label": label,
                "n": len(rows),
                "suggested_label": suggested,
                "count": float(rows.sum()),
                "interval": spread(rows.sum()),
            }
        )
    review: list[dict[str, Any]] = []
    for k in sorted({k for k in (10, 20, 50, 100, 200, 500, 1000) if k <= n} | {n}):
        found = float(p.iloc[:k].sum())
        low, high = spread(found)
        recall = found / total
        review.append(
            {
                "k": k,
                "expected_found": found,
                "expected_found_interval": [low, min(float(k), high)],
                "precision": found / k,
                "precision_interval": [low / k, min(1.0, high / k)],
                "recall": recall,
                "recall_interval": [max(0.0, recall - 0.1), min(1.0, recall + 0.1)],
            }
        )
    low, high = spread(total)
    return {
        "decided": True,
        "reason": "The planted labels were recovered well enough to estimate the share of wrong given labels.",
        "basis": "no trusted reference",
        "assumption": "Wrong labels look like the planted ones: drawn towards the classes the model confuses.",
        "cannot_tell": False,
        "said": "The model expects about 11 wrong labels, if its assumptions hold.",
        "share": {"value": total / n, "interval": [low / n, high / n]},
        "count": {"value": total, "interval": [low, high]},
        "by_class": by_class,
        "by_pair": by_pair,
        "review": review,
    }


def _quality(names: list[str], n_test: int, accuracy: float) -> dict[str, Any]:
    c = len(names)
    per = max(1, n_test // c)
    wrong = max(1, round(per * (1 - accuracy)))
    confusion = [[per - wrong if i == j else (wrong if j == (i + 1) % c else 0) for j in range(c)] for i in range(c)]
    value = (per - wrong) / per
    epochs = np.arange(1, 51)
    return {
        "loss": {
            "train": (0.7 * np.exp(-epochs / 12) + 0.3 * (1 - accuracy)).round(5).tolist(),
            "val": (0.65 * np.exp(-epochs / 12) + 0.6 * (1 - accuracy)).round(5).tolist(),
        },
        "test": {"n": per * c, "accuracy": value, "f1_weighted": value - 0.001, "confusion": confusion},
    }


def _duplicates(images: pd.DataFrame) -> dict[str, Any]:
    """One image under two labels, and one in two splits, where there are enough images."""
    groups: dict[str, Any] = {"conflicting": [], "leaking": []}
    columns = ["path", "label", "split"]
    for key, column in (("conflicting", "label"), ("leaking", "split")):
        other = images[images[column] != images[column].iloc[0]]
        if len(other):
            pair = pd.concat([images.iloc[[0]], other.iloc[[0]]])
            groups[key].append({"hash": _hash(key), "entries": pair[columns].to_dict("records")})
    return {**groups, "n_conflicting": len(groups["conflicting"]), "n_leaking": len(groups["leaking"])}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _summary(
    images: pd.DataFrame,
    names: list[str],
    ranking: pd.DataFrame,
    planted: pd.DataFrame,
    rate: float,
    seed: int,
    calibrated: bool,
) -> dict[str, Any]:
    splits = {s: int((images["split"] == s).sum()) for s in ("train", "val", "test")}
    content = _hash("".join(images["path"] + images["label"]))
    settings = {
        "classes": [],
        "noise_rate": rate,
        "noise": "uniform",
        "weights": "imagenet",
        "backbone": "resnet18",
        "train": "head",
        "engine": "auto",
        "damping": "auto",
        "reference": "",
        "repeats": 3,
        "seed": seed,
        "image_size": "auto",
        "dtype": "float32",
        "epochs": 50,
        "learning_rate": 0.001,
        "batch_size": 768,
        "preset": "default",
        "max_pixels": 100_000_000,
        "max_unreadable": 0.1,
        "allow_outside": False,
        "root": "",
        "columns": "",
        "group_columns": [],
        "mirror": False,
        **dict.fromkeys(("kind", "label", "features", "probabilities"), ""),
        "rank_by": "suspicion",
        "ledger": "",
        "examples": 3,
        "thumbnails": 500,
        "exact": 0,
    }
    solves = [
        {
            "run": "clean",
            "right_hand_sides": len(names),
            "iterations": 34,
            "relative_residual": 3e-7,
            "converged": True,
        },
        {"run": "corrupted", "right_hand_sides": 1, "iterations": 31, "relative_residual": 8e-7, "converged": True},
    ]
    return {
        "schema_version": 1,
        "audit_id": _hash(f"{content}{rate}{seed}{calibrated}")[:16],
        "auditor_version": "0.1.0",
        "command": f"auditor audit photos --noise-rate {rate:g} --seed {seed} -o OUT",
        "settings": settings,
        "run": {"device": "cpu", "threads": 2, "dtype": "float32"},
        "dataset": {
            "name": "photos",
            "source": "photos",
            "kind": "image",
            "groups": "",
            "beside": "",
            "root": "photos",
            "content_hash": content,
            "n_images": len(images),
            "classes": names,
            "counts": {c: int((images["label"] == c).sum()) for c in names},
            "splits": splits,
            "split_origin": "source",
            "skipped": [{"path": "train/broken.png", "reason": "not an image"}],
            "n_skipped": 1,
            "duplicates": _duplicates(images),
            "hashes": {path: _hash(path) for path in images["path"]},
        },
        "model": {
            "architecture": "resnet18",
            "weights": "imagenet",
            "weights_sha256": _hash("weights"),
            "image_size": 64,
            "normalisation": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
            "trained": "head",
            "n_features": 512,
            "n_parameters": 513 * len(names),
            "epochs": 50,
            "clean": _quality(names, splits["test"], 0.96),
            "corrupted": _quality(names, splits["test"], 0.9),
        },
        "reference": {
            "kind": "test split",
            "source": None,
            "n": splits["test"],
            "content_hash": None,
            "suspects": [],
            "settled": {"n": 0, "wrong": []},
        },
        "ledger": None,
        "influence": {
            "engine": "direct",
            "damping": 1.0,
            "mode": "up",
            "parameters": 513 * len(names),
            "solves": solves,
        },
        "recovery": _recovery(planted, names, rate, calibrated),
        "calibration": _calibration(ranking, names) if calibrated else None,
        "signals": [
            {"name": "average influence", "weight": 0.6, "meaning": "how much it helps the test images' predictions"},
            {"name": "self-confidence", "weight": 0.4, "meaning": "out-of-fold probability of the given label"},
        ]
        if calibrated
        else [],
        "damping_choice": [{"damping": d, "score": s} for d, s in ((0.1, 0.61), (1.0, 0.74), (10.0, 0.7))],
        "oddities": _oddities(ranking, names),
        "stages": {"read": 1.2, "features": 8.4, "train": 2.1, "influence": 0.8, "experiment": 3.9},
        "versions": {
            "python": "3.11.2",
            "torch": "2.13.0",
            "torchvision": "0.28.0",
            "pydvl": "0.10.0",
            "numpy": "1.26.4",
            "pandas": "3.0.0",
            "scikit-learn": "1.8.0",
            "auditor": "0.1.0",
        },
        "machine": {"system": "Linux", "processor": "x86_64", "cores": 2},
        "notes": ["1 image could not be read and was left out."],
    }


def _oddities(ranking: pd.DataFrame, names: list[str]) -> list[dict[str, Any]]:
    """Three kinds: one that was told with items and a table, one that cannot be told, one that was left out."""
    empty: dict[str, Any] = {"value": None, "interval": None, "heads": [], "rows": [], "items": [], "notes": []}
    first = ranking.head(14)[["path", "label"]].itertuples(index=False)
    return [
        {
            **empty,
            "name": "odd_ones",
            "title": "Odd ones",
            "about": "Images that are unlike all others.",
            "outcome": "told",
            "summary": f"14 images are odd, most of them of class '{names[0]}'.",
            "value": 14.0,
            "heads": ["class", "images", "share"],
            "rows": [[name, 3.0, 0.125] for name in names],
            "items": [{"path": path, "label": label, "said": f"unlike '{label}'"} for path, label in first],
            "notes": ["Oddness is simulated."],
            "column": None,
        },
        {
            **empty,
            "name": "even_ones",
            "title": "Even ones",
            "about": "Images that are like all others.",
            "outcome": "cannot tell",
            "summary": "Nobody can tell.",
            "column": None,
        },
        {
            **empty,
            "name": "lost_ones",
            "title": "Lost ones",
            "about": "Images of nowhere.",
            "outcome": "left out",
            "summary": "Nobody looked for this: it needs pixels.",
            "column": None,
        },
    ]


def _thumbnail(path: str, shape: int, size: int = 48) -> str:
    """A small picture: the shape and colour of a class, moved and shaded by the path."""
    rng = np.random.default_rng(int(_hash(path)[:8], 16))
    hue = (shape * 67) % 255
    image = Image.new("HSV", (size, size), (hue, 40, int(rng.integers(170, 230))))
    draw = ImageDraw.Draw(image)
    x, y = rng.integers(4, 14, 2)
    box = (int(x), int(y), int(x) + size - 20, int(y) + size - 20)
    (draw.ellipse, draw.rectangle)[shape % 2](box, fill=(hue, 190, int(rng.integers(70, 150))))
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _histogram(values: dict[str, np.ndarray], bins: int = 24) -> dict[str, Any]:
    filled = [v for v in values.values() if len(v)] or [np.zeros(1)]
    edges = np.histogram_bin_edges(np.concatenate(filled), bins)
    return {
        "edges": edges.tolist(),
        "counts": {label: np.histogram(v, edges)[0].astype(int).tolist() for label, v in values.items()},
    }


def _by_label(frame: pd.DataFrame, column: str, names: list[str]) -> dict[str, np.ndarray]:
    return {name: frame.loc[frame[column] == name, "average_influence"].dropna().to_numpy() for name in names}


def _examples(
    images: pd.DataFrame, names: list[str], count: int, rng: np.random.Generator
) -> tuple[list[dict[str, Any]], set[str]]:
    """Test images with influence rows, drawn at random, and the paths they show."""
    test, train = images[images["split"] == "test"], images[images["split"] == "train"]
    examples, shown = [], set()
    for i, row in enumerate(test.head(2 * count).itertuples()):
        influence = rng.normal(np.where(train["label"] == row.label, 0.4, -0.2), 0.4)
        same = train.assign(influence=influence)[train["label"] == row.label].sort_values("influence")
        rows = same[["path", "label", "influence"]]
        least, most = rows.head(4).to_dict("records"), rows.tail(4).iloc[::-1].to_dict("records")
        values = {name: influence[(train["label"] == name).to_numpy()] for name in names}
        wrong = i % 2 == 1
        other = names[(names.index(row.label) + 1) % len(names)]
        examples.append(
            {
                "kind": "wrong" if wrong else "correct",
                "path": row.path,
                "label": row.label,
                "predicted": other if wrong else row.label,
                "probability": 0.61 if wrong else 0.97,
                "histogram": _histogram(values),
                "most": most,
                "least": least,
            }
        )
        shown |= {row.path, *(e["path"] for e in most + least)}
    return examples, shown


def _first_three(images: pd.DataFrame) -> list[dict[str, Any]]:
    return images[["path", "label"]].head(3).to_dict("records")


def _evidence(
    images: pd.DataFrame,
    names: list[str],
    ranking: pd.DataFrame,
    planted: pd.DataFrame,
    thumbnails: int,
    examples: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    truth = dict(zip(images["path"], images["truth"], strict=True))
    suspects = ranking[ranking["rank"].notna()].head(thumbnails)
    lowest = planted.sort_values("influence_rank").head(24)
    shown = {*suspects["path"], *lowest["path"]}
    extremes = []
    for name in names:
        rows = ranking[(ranking["label"] == name) & ranking["average_influence"].notna()]
        rows = rows.sort_values("average_influence")[["path", "average_influence"]]
        low, high = rows.head(5).to_dict("records"), rows.tail(5).iloc[::-1].to_dict("records")
        extremes.append({"label": name, "highest": high, "lowest": low})
        shown |= {entry["path"] for entry in low + high}
    explained, paths = _examples(images, names, examples, rng)
    train = images[images["split"] == "train"]
    others, own = (
        {c: _first_three(train[side(train["label"], c)]) for c in names} for side in (operator.ne, operator.eq)
    )
    why = {}
    for row in suspects.itertuples():
        against = [
            {**entry, "influence": -0.01 * (j + 1), "without": None} for j, entry in enumerate(others[row.label])
        ]
        favour = [
            {**entry, "influence": 0.02 / (j + 1), "without": None} for j, entry in enumerate(own.get(row.label, []))
        ]
        near = [*own.get(row.label, []), *own.get(row.suggested_label, [])]
        neighbours = [{**entry, "similarity": 0.93 - 0.02 * j} for j, entry in enumerate(near)]
        why[row.path] = {"against": against, "in_favour": favour, "left_out": None, "neighbours": neighbours}
        paths |= {entry["path"] for entry in against + favour + neighbours}
    order = list(suspects["path"])
    corrupted = {
        "planted": _by_label(planted[planted["planted"]], "trained_label", names),
        "clean": _by_label(planted[~planted["planted"]], "trained_label", names),
    }
    edges = np.histogram_bin_edges(planted["average_influence"], 24)
    return {
        "thumbnails": {p: _thumbnail(p, names.index(truth[p])) for p in sorted(shown | paths)},
        "examples": explained,
        "histograms": {
            "clean": _histogram(_by_label(ranking, "label", names)),
            "corrupted": {
                "edges": edges.tolist(),
                **{
                    k: {c: np.histogram(v, edges)[0].astype(int).tolist() for c, v in group.items()}
                    for k, group in corrupted.items()
                },
            },
        },
        "extremes": extremes,
        "lowest_planted_run": lowest[
            ["path", "label", "trained_label", "planted", "average_influence", "influence_rank"]
        ].to_dict("records"),
        "why": why,
        "near_duplicates": [order[i : i + 2] for i in (0, 4) if i + 2 <= len(order)],
        "likeliest": {row.path: _likeliest(row, names) for row in suspects.itertuples() if row.p_mislabelled >= 0},
        "map": _map(ranking, truth, names, rng),
    }


def _likeliest(row: Any, names: list[str]) -> list[dict[str, Any]]:
    """The given and the suggested class of a suspect, and a third one that is not very likely."""
    third = 0.1 * row.p_mislabelled if len(names) > 2 else 0.0
    chances = {row.label: 1 - row.p_mislabelled, row.suggested_label: row.p_mislabelled - third}
    others = [name for name in names if name not in chances]
    chances |= {others[0]: third} if third else {}
    order = sorted(chances.items(), key=lambda one: -one[1])
    return [{"label": label, "probability": round(p, 4)} for label, p in order]


def _map(ranking: pd.DataFrame, truth: dict[str, str], names: list[str], rng: np.random.Generator) -> dict[str, Any]:
    """A cloud of points for each class that the images really show, on a circle."""
    angle = 2 * np.pi * ranking["path"].map(truth).map({name: i for i, name in enumerate(names)}) / len(names)
    centre = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    places = 0.5 + 0.3 * centre + rng.normal(0, 0.06, centre.shape)
    points = (places.clip(0, 1) * 65535).round().astype("<u2")[:50_000]
    return {"n": len(points), "points": base64.b64encode(points.tobytes()).decode()}


SENTENCES = (
    "The parcel came two days late, and nobody at the counter could say why it had gone to the next town first.",
    "Die Lieferung war pünktlich.\nDas Gerät läuft leise, nur die Anleitung fehlt.",
    "この商品は説明と違います。箱は破れていて、中身も足りませんでした。返品したいです。",
    "سلعة جيدة جدا وصلت في الموعد المحدد، وسأطلب منها مرة أخرى قريبا إن شاء الله",
    "ভাল পণ্য, সময়মত এসেছে 👩‍👩‍👧",
    "Short.",
)
"""What the made-up texts say, one script each; the second has two lines."""

HOSTILE_TEXT = (
    "<img src=x onerror=window.hacked=1></script><script>window.hacked=2</script>\n"
    '=HYPERLINK("http://x")\t\x1b[31mred\x07 \u202egnp.exe\u202c {{ 7*7 }} a\u0301\u0301 \u2066in\u2069 ' + "w" * 300
)
"""A text that attacks HTML, terminals, templates and the eye."""


def as_kind(result: AuditResult, kind: str, *, hostile: bool = False) -> AuditResult:
    """The result as if its items were of another kind: texts and rows have excerpts, and nothing has a picture.

    The items that had a picture have an excerpt. With `hostile` every fifth one is `HOSTILE_TEXT`.
    """
    dataset = {**result.summary["dataset"], "kind": kind}
    model = {**result.summary["model"], "image_size": None, "normalisation": None}
    said = {}
    for i, path in enumerate(sorted(result.evidence["thumbnails"])):
        said[path] = _text_of(i) if kind == "text" else _row_of(i)
        if hostile and i % 5 == 0:
            said[path] = HOSTILE_TEXT if kind == "text" else f"na<b>me: {HOSTILE_TEXT.splitlines()[0]}\n{said[path]}"
    shown = {**result.evidence, "thumbnails": {}, "excerpts": {} if kind == "features" else said}
    dataset["skipped"] = [{"path": "row-000077", "reason": "it has no label"}]
    noun = noun_of(kind)
    signals = [{**signal, "meaning": noun.of(signal["meaning"])} for signal in result.summary["signals"]]
    told = {
        "dataset": dataset,
        "model": model,
        "signals": signals,
        "notes": [noun.of(n) for n in result.summary["notes"]],
        "oddities": [_odd_of(one, noun) for one in result.summary["oddities"]],
    }
    summary = {**result.summary, **told}
    return AuditResult(summary, result.ranking, result.planted, shown)


def _odd_of(oddity: dict[str, Any], noun: Noun) -> dict[str, Any]:
    words = {key: noun.of(oddity[key]) for key in ("about", "summary")}
    items = [{**item, "said": noun.of(item["said"])} for item in oddity["items"]]
    return {**oddity, **words, "heads": [noun.of(head) for head in oddity["heads"]], "items": items}


def _text_of(i: int) -> str:
    """The i-th made-up text. Every seventh is as long as an excerpt can be."""
    text = f"{SENTENCES[i % len(SENTENCES)]} ({i})"
    return (f"{text} " * 100)[:2000] + "…" if i % 7 == 6 else text


def _row_of(i: int) -> str:
    """The cells of the i-th made-up row, a line each."""
    cells = {"mean radius": f"{11 + i / 7:.3f}", "texture": f"{i % 19}", "site": f"ward {i % 5}", "seen": "2024-03-01"}
    note = SENTENCES[i % len(SENTENCES)].replace("\n", " ")
    return "\n".join([*(f"{name}: {value}" for name, value in cells.items()), f"note: {note}"])
