"""What else is wrong: faults that were planted in pictures, beside CleanVision on the same files.

    python benchmarks/faults.py     # two minutes on one core

It needs the shared data (`AUDITOR_DATA`). CleanVision (extra `bench`) is measured where it is installed. The table goes
to `results/oddities_pictures.csv`.

Pictures of Tiny ImageNet and of CIFAR-10N are saved anew as JPEG files. Some of them get one fault first. `size` and
`shape` are planted among pictures of many sizes and shapes. Average precision ranks a fault's own score of each method.
`found` and `named_wrongly` are the shares of planted and of other pictures that a method names for this fault with its
own limits; some of the other pictures are dark or blank by themselves. CleanVision has no score for washed out
pictures: the better one of its scores of blurred and of blank ones stands there.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rows
from PIL import Image, ImageFilter
from shared import DATA, need
from sklearn.metrics import average_precision_score

Record = dict[str, Any]
Change = Callable[[Image.Image, np.random.Generator], Image.Image]

PICTURES, PLANTED = 1500, 75
"""Pictures of a set, and those of them that get a fault."""

THEIRS = {
    "dark": ("dark",),
    "bright": ("light",),
    "blurred": ("blurry",),
    "blank": ("low_information",),
    "washed out": ("low_information", "blurry"),
    "odd size": ("odd_size",),
    "odd shape": ("odd_aspect_ratio",),
}
"""CleanVision's names of our faults."""


def _levels(change: Callable[[int], float]) -> Change:
    return lambda image, _: image.point(lambda level: int(np.clip(change(level), 0, 255)))


def _blurred(width: float) -> Change:
    return lambda image, _: image.filter(ImageFilter.GaussianBlur(width))


def _one_colour(noise: float) -> Change:
    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        pixels = rng.integers(40, 216, 3) + rng.normal(0, noise, (image.height, image.width, 3))
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))

    return change


def _gradient(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    across, down = np.linspace(0, 20, image.width), np.linspace(0, 10, image.height)
    pixels = rng.integers(20, 180, 3) + (across[None] + down[:, None])[:, :, None]
    return Image.fromarray(pixels.astype(np.uint8))


def _speck(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A sixth of each side of the picture on one colour."""
    red, green, blue = (int(level) for level in rng.integers(0, 256, 3))
    out = Image.new("RGB", image.size, (red, green, blue))
    out.paste(image.crop((0, 0, image.width // 6, image.height // 6)), (image.width // 3, image.height // 3))
    return out


def _sized(times: float) -> Change:
    return lambda image, _: image.resize((round(image.width * times), round(image.height * times)))


def _strip(wide: bool) -> Change:
    def change(image: Image.Image, _: np.random.Generator) -> Image.Image:
        box = (0, 0, image.width, image.height // 5) if wide else (0, 0, image.width // 5, image.height)
        return image.crop(box)

    return change


PLANTS: dict[str, dict[str, Change]] = {
    "dark": {
        "half the levels": _levels(lambda level: level / 2),
        "a quarter": _levels(lambda level: level / 4),
        "gamma 3": _levels(lambda level: 255 * (level / 255) ** 3),
    },
    "bright": {
        "half the levels": _levels(lambda level: 255 - (255 - level) / 2),
        "a quarter": _levels(lambda level: 255 - (255 - level) / 4),
        "doubled": _levels(lambda level: 2 * level + 40),
    },
    "washed out": {"a fifth of the contrast": _levels(lambda level: 110 + level / 5)},
    "blurred": {f"Gauss, {width}": _blurred(width) for width in (0.6, 1.0, 1.5, 2.5, 4.0)},
    "blank": {
        "one colour": _one_colour(2.0),
        "one colour, noisy": _one_colour(6.0),
        "gradient": _gradient,
        "speck": _speck,
    },
    "odd size": {"a quarter of the side": _sized(0.25), "four times the side": _sized(4.0)},
    "odd shape": {"five times as wide": _strip(True), "five times as tall": _strip(False)},
}
"""Fault -> how it is planted."""


def pictures(_: Path, seeds: int) -> Iterator[Record]:
    """Average precision, and what is named, for each set, planted fault, draw and method."""
    for name in ("tiny10", "cifar10n"):
        for seed in range(seeds):
            rng = np.random.default_rng([seed, 17])
            plain = _opened(name, rng)
            varied = [_varied(image, rng) for image in plain]
            bases = {kind: _measured([_saved(image) for image in base]) for kind, base in (("", plain), ("s", varied))}
            for fault, plants in PLANTS.items():
                moved = "s" if fault.startswith("odd") else ""
                for how, change in plants.items():
                    struck = rng.permutation(PICTURES)[:PLANTED]
                    files = [_saved(change((varied if moved else plain)[row], rng)) for row in struck]
                    truth = np.isin(np.arange(PICTURES), struck)
                    for method, found in _told(bases[moved], struck, _measured(files), fault).items():
                        score, named = found
                        yield {
                            "set": name,
                            "fault": fault,
                            "planted": how,
                            "unit": seed,
                            "method": method,
                            "average_precision": average_precision_score(truth, score),
                            "found": named[truth].mean(),
                            "named_wrongly": named[~truth].mean(),
                        }


def _opened(name: str, rng: np.random.Generator) -> list[Image.Image]:
    """Some pictures of a set."""
    root = DATA / name / ("train" if name == "tiny10" else "")
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    return [Image.open(paths[row]).convert("RGB") for row in np.sort(rng.permutation(len(paths))[:PICTURES])]


def _varied(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The picture with sides of 80% to 125% of what they were."""
    width, height = (max(1, round(side * 2 ** rng.uniform(-0.32, 0.32))) for side in image.size)
    return image.resize((width, height))


def _saved(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


Measured = tuple[np.ndarray, pd.DataFrame | None]


def _measured(files: list[bytes]) -> Measured:
    """Our facts of the files, and CleanVision's properties."""
    from auditor.data import images
    from auditor.data.picture_facts import EDGE, MEASURES, Picture
    from auditor.sources.decoding import peek_format

    facts = []
    for data in files:
        kind, size = peek_format(data, max_pixels=1 << 26)
        picture = Picture(data, size, kind, images.decode(data, max_pixels=1 << 26, target=EDGE))
        facts.append([float(number) for measure in MEASURES for number in measure.of(picture)])
    if importlib.util.find_spec("cleanvision") is None:
        return np.array(facts, np.float32), None
    from cleanvision.issue_managers.image_property_issue_manager import ImagePropertyIssueManager

    properties = ImagePropertyIssueManager().image_properties
    asked = [properties[name] for name in sorted({name for names in THEIRS.values() for name in names})]
    opened = (Image.open(io.BytesIO(data)) for data in files)
    theirs = [{key: value for one in asked for key, value in one.calculate(image).items()} for image in opened]
    return np.array(facts, np.float32), pd.DataFrame(theirs)


def _told(base: Measured, struck: np.ndarray, planted: Measured, fault: str) -> dict[str, tuple[Any, Any]]:
    """Method -> its score of every picture for a fault, and whether it names the picture for it."""
    from auditor.data.picture_facts import MEASURES, PictureFacts
    from auditor.oddities.picture_faults import judge, measured

    facts = base[0].copy()
    facts[struck] = planted[0]
    everything = np.arange(len(facts))
    names = tuple(name for measure in MEASURES for name in measure.names)
    found = judge(measured(PictureFacts(names, facts), everything), everything)
    ours = next(one for one in found if one.fault.name == fault)
    told: dict[str, tuple[Any, Any]] = {"auditor": (np.clip(ours.beyond, -1e9, 1e9), ours.named)}
    if base[1] is not None and planted[1] is not None:
        theirs = base[1].copy()
        theirs.iloc[struck] = planted[1].to_numpy()
        told["CleanVision"] = _cleanvision(theirs, THEIRS[fault], np.isin(everything, struck))
    return told


def _cleanvision(properties: pd.DataFrame, names: tuple[str, ...], truth: np.ndarray) -> tuple[Any, Any]:
    """CleanVision's score and verdict with its own limits; of several scores the one that is best here."""
    from cleanvision.issue_managers.image_property_issue_manager import ImagePropertyIssueManager

    manager = ImagePropertyIssueManager()
    manager.issues = pd.DataFrame(index=properties.index)
    manager.update_issues(properties, list(names))
    told = [(-manager.issues[f"{name}_score"].to_numpy(float), manager.issues[f"is_{name}_issue"]) for name in names]
    score, named = max(told, key=lambda one: average_precision_score(truth, one[0]))
    return score, named.to_numpy(bool)


PARTS = {"pictures": rows.Part(pictures, "oddities_pictures", ("set", "fault", "planted", "method"))}
"""The parts of this benchmark."""

if __name__ == "__main__":
    rows.run_parts(__doc__, PARTS, lambda: need("tiny10"))
