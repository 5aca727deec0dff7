"""What else is wrong: groups with more wrong labels and marks of files that were planted, beside cleanlab's Datalab.

    python benchmarks/traits.py groups    # four minutes on one core
    python benchmarks/traits.py marks     # one minute
    python benchmarks/traits.py           # both

It needs the shared data (`AUDITOR_DATA`). The extra `bench` (cleanlab) and CleanVision are measured where they are
installed. Every part measures all methods in one run, on the same data. Tables go to `results/oddities_groups.csv` and
`results/oddities_marks.csv`.

`groups`: the images of ten classes of Tiny ImageNet are spread over eight cameras that hold 30% to 2% of them. Five per
cent of the labels are flipped. One camera has more: 15% in a tenth of the images, or 20% in a twentieth. In `none` no
camera has more, and in `hard` one camera is blurred, which makes its images hard to judge and no label wrong. Datalab
gets the same held-out probabilities, and the cameras as clusters (`underperforming_group`). It names one cluster.

`marks`: one class of ten, or of two, gets a mark in all, 80%, 60% or 30% of its images. All others are saved alike
without it. Datalab gets CleanVision's properties (`spurious_correlations`, its threshold 0.3). It names properties,
no classes.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rows
from PIL import Image, ImageFilter, ImageOps
from shared import DATA, features, need

Record = dict[str, Any]

SIZES = (0.3, 0.2, 0.15, 0.1, 0.1, 0.08, 0.05, 0.02)
"""The cameras' parts of all images."""

CASES = {"none": (None, 0.05), "bad 15%": (3, 0.15), "bad 20%": (6, 0.20), "hard": (2, 0.05)}
"""A camera and its share of wrong labels."""

MARKED, PARTS = 4, (1.0, 0.8, 0.6, 0.3)
"""The class that gets a mark, and the parts of it that do."""

MARKS = ("dark", "bright", "blur", "border", "crop", "warm", "png", "quality", "camera", "none")


def _paths() -> tuple[list[str], np.ndarray, list[str]]:
    root = DATA / "tiny10" / "train"
    paths = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*"))
    names = [path.split("/")[0] for path in paths]
    classes = sorted(set(names))
    return paths, np.searchsorted(classes, names), classes


def groups(cache: Path, seeds: int) -> Iterator[Record]:
    """Which camera each method puts first, and which it names, for each case and draw."""
    paths, y, classes = _paths()
    root = DATA / "tiny10" / "train"

    def blurred(path: str) -> bytes:
        out = io.BytesIO()
        Image.open(root / path).convert("RGB").filter(ImageFilter.GaussianBlur(2.0)).save(out, "PNG")
        return out.getvalue()

    plain = features("tiny10/train", paths, cache)
    hard = features("tiny10/train", paths, cache, read=blurred)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        camera = rng.choice(len(SIZES), len(y), p=SIZES)
        for case, (worst, share) in CASES.items():
            x = np.where((camera == worst)[:, None], hard, plain) if case == "hard" else plain
            flip = rng.random(len(y)) < np.where(camera == worst, share, 0.05)
            given = np.where(flip, (y + rng.integers(1, len(classes), len(y))) % len(classes), y)
            planted = case.startswith("bad")
            for method, (first, named) in _named(x, given, camera, seed).items():
                yield {
                    "case": case,
                    "unit": seed,
                    "method": method,
                    "planted_is_first": float(first == worst) if planted else np.nan,
                    "planted_is_named": float(worst in named) if planted else np.nan,
                    "named_wrongly": len([name for name in named if not planted or name != worst]),
                }


def _named(x: np.ndarray, given: np.ndarray, camera: np.ndarray, seed: int) -> dict[str, tuple[int, list[int]]]:
    """The camera that each method puts first, and those that it names."""
    from auditor.detection import DetectionSettings, Labelled, detect
    from auditor.oddities.group_comparison import Judged, compare

    seen = detect(Labelled(x, given, int(given.max()) + 1, None), seed=seed, settings=DetectionSettings(damping=10.0))
    assert seen.p_mislabelled is not None
    values = {"camera": camera.astype(str).tolist()}
    judged = {
        "auditor": Judged(seen.p_mislabelled, given, seen.doubt),
        "auditor, doubt ignored": Judged(seen.p_mislabelled, given),
    }
    told = {}
    for name, items in judged.items():
        found = compare(values, items)
        told[name] = int(found.groups[0].name), [int(one.name) for one in found.worse]
    if importlib.util.find_spec("cleanlab") is not None:
        told["Datalab"] = _datalab_group(_held_out(x, given, seed), given, camera)
    return told


def _held_out(x: np.ndarray, given: np.ndarray, seed: int) -> np.ndarray:
    """Probabilities [N, C] of linear heads that did not see the image."""
    from auditor.model.scaling import Scaling
    from auditor.model.softmax_head import SoftmaxHead

    scaled, n_classes = Scaling.of(x)(x), int(given.max()) + 1
    fold = np.random.default_rng(seed).permutation(len(given)) % 3
    out = np.zeros((len(given), n_classes))
    for part in range(3):
        head = SoftmaxHead.train(scaled[fold != part], given[fold != part], n_classes, 0.3)
        out[fold == part] = head.probabilities(scaled[fold == part])
    return out


def _datalab_group(probabilities: np.ndarray, given: np.ndarray, camera: np.ndarray) -> tuple[int, list[int]]:
    """The worst cluster of `underperforming_group`, and whether its own threshold names it."""
    from cleanlab.datalab.internal.issue_manager.underperforming_group import UnderperformingGroupIssueManager

    manager = object.__new__(UnderperformingGroupIssueManager)
    manager.threshold = 0.1
    scores, named, _ = manager.get_underperforming_clusters(camera, np.unique(camera), given, probabilities)
    return int(min(scores, key=lambda name: scores[name])), [int(named)] if named in scores else []


def marks(cache: Path, seeds: int) -> Iterator[Record]:
    """Whether each method names the planted mark, for each kind and part; and what it names without one."""
    paths, y, _ = _paths()
    for n_classes in (10, 2):
        rows_ = np.flatnonzero(np.isin(y, (MARKED, MARKED + 1)) if n_classes == 2 else np.arange(len(y)) % 2 == 0)
        yield from _marks([paths[row] for row in rows_], np.unique(y[rows_], return_inverse=True)[1], seeds)


def _marks(paths: list[str], y: np.ndarray, seeds: int) -> Iterator[Record]:
    marked = MARKED if y.max() >= MARKED else 0
    raw = [Image.open(DATA / "tiny10" / "train" / path).convert("RGB") for path in paths]
    plain = [_saved(image, "") for image in raw]
    facts, properties = _facts(plain), _properties(plain)
    for seed in range(seeds):
        for kind in MARKS:
            for part in PARTS if kind != "none" else (0.0,):
                struck = np.flatnonzero((y == marked) & (np.random.default_rng(seed).random(len(y)) < part))
                files = [_saved(raw[row], kind) for row in struck]
                with_facts, with_properties = facts.copy(), None if properties is None else properties.copy()
                if len(struck):
                    with_facts[struck] = _facts(files)
                    if with_properties is not None:
                        with_properties.iloc[struck] = _properties(files).to_numpy()
                for method, (named, wrongly) in _told(with_facts, with_properties, y, seed).items():
                    yield {
                        "classes": int(y.max()) + 1,
                        "mark": kind,
                        "part": part,
                        "unit": seed,
                        "method": method,
                        "named": float(named) if part else np.nan,
                        "named_wrongly": wrongly if part else int(named) + wrongly,
                    }


def _told(facts: np.ndarray, properties: Any, y: np.ndarray, seed: int) -> dict[str, tuple[bool, int]]:
    """Whether a mark of the marked class is named, and how many of other classes. Datalab names no class."""
    from auditor.data.picture_facts import MEASURES, PictureFacts
    from auditor.oddities.marks import of_pictures, tell

    names = tuple(name for measure in MEASURES for name in measure.names)
    kept = of_pictures(PictureFacts(names, facts), np.arange(len(y)))
    found = tell(kept, y, np.arange(len(y)), int(y.max()) + 1, seed)
    marked = MARKED if y.max() >= MARKED else 0
    labels = [mark.label for mark in found.clear]
    told = {"auditor": (marked in labels, sum(label != marked for label in labels))}
    if properties is not None:
        from cleanlab.datalab.internal.spurious_correlation import SpuriousCorrelations

        scores = SpuriousCorrelations(properties, y).calculate_correlations()
        told["Datalab"] = (bool((scores["score"] < 0.3).any()), 0)
    return told


def _saved(image: Image.Image, kind: str) -> bytes:
    """The file of an image, with a mark."""
    out = io.BytesIO()
    exif = Image.Exif()
    if kind == "dark":
        image = image.point(lambda level: level // 2)
    if kind == "bright":
        image = image.point(lambda level: 255 - (255 - level) // 2)
    if kind == "blur":
        image = image.filter(ImageFilter.GaussianBlur(1.2))
    if kind == "border":
        image = ImageOps.expand(ImageOps.crop(image, 2), 2)
    if kind == "crop":
        image = image.crop((0, 0, image.width, image.height * 7 // 8))
    if kind == "warm":
        red, green, blue = image.split()
        bands = red.point(lambda level: min(255, level * 5 // 4)), green, blue.point(lambda level: level * 4 // 5)
        image = Image.merge("RGB", bands)
    if kind == "camera":
        exif[0x010F], exif[0x0110] = "Acme", "X1"
    if kind == "png":
        image.save(out, "PNG")
    else:
        image.save(out, "JPEG", quality=60 if kind == "quality" else 90, exif=exif)
    return out.getvalue()


def _facts(files: list[bytes]) -> np.ndarray:
    from auditor.data import images
    from auditor.data.picture_facts import EDGE, MEASURES, Picture
    from auditor.sources.decoding import peek_header

    found = []
    for data in files:
        header = peek_header(data, max_pixels=1 << 26)
        image = images.decode(data, max_pixels=1 << 26, target=EDGE)
        picture = Picture(data, header.size, header.format, image)
        found.append([float(number) for measure in MEASURES for number in measure.of(picture)])
    return np.array(found, np.float32)


def _properties(files: list[bytes]) -> Any:
    """CleanVision's scores, as Datalab takes them for its correlations; None where one of both is missing."""
    if any(importlib.util.find_spec(name) is None for name in ("cleanvision", "cleanlab")):
        return None
    from cleanvision.issue_managers import image_property as ours

    found = []
    for data in files:
        image = Image.open(io.BytesIO(data))
        bright = ours.BrightnessProperty("dark").calculate(image)
        found.append(
            {
                "dark": bright["brightness_perc_99"],
                "light": 1 - float(bright["brightness_perc_5"]),
                "blurry": 1 - np.exp(-float(ours.BlurrinessProperty().calculate(image)["blurriness"]) / 100),
                "odd_aspect_ratio": ours.AspectRatioProperty().calculate(image)["aspect_ratio"],
                "low_information": ours.EntropyProperty().calculate(image)["entropy"],
                "odd_size": ours.SizeProperty().calculate(image)["size"],
                "grayscale": float(ours.ColorSpaceProperty().calculate(image)["color_space"] == "L"),
            }
        )
    return pd.DataFrame(found).astype(float)


PARTS = {
    "groups": rows.Part(groups, "oddities_groups", ("case", "method")),
    "marks": rows.Part(marks, "oddities_marks", ("classes", "mark", "method")),
}
"""The parts of this benchmark."""

if __name__ == "__main__":
    rows.run_parts(__doc__, PARTS, lambda: need("tiny10"))
