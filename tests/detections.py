"""Pictures with digits pasted on them, and their boxes in the forms of COCO, YOLO and Pascal VOC."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from helpers import FIXTURES
from PIL import Image

NAMES = ("3", "8")


@dataclass(frozen=True)
class Pasted:
    """A digit on a picture: left, top, width and height in pixels."""

    picture: str
    label: str
    box: tuple[int, int, int, int]
    tile: Image.Image


def scene(n_pictures: int, each: int, seed: int = 0) -> tuple[dict[str, Image.Image], list[Pasted]]:
    """Pictures of 96x72 pixels by name, and the digits on them. Some digits overlap."""
    rng = np.random.default_rng(seed)
    files = {name: sorted((FIXTURES / "digits" / "train" / name).iterdir()) for name in NAMES}
    pictures, pasted = dict[str, Image.Image](), list[Pasted]()
    for number in range(n_pictures):
        name = f"{number:03d}.png"
        canvas = Image.fromarray(rng.integers(0, 60, (72, 96), np.uint8))
        for place in range(each):
            label = NAMES[int(rng.integers(len(NAMES)))]
            with Image.open(files[label][(number * each + place) % len(files[label])]) as opened:
                tile = opened.convert("L")
            wide, high = (int(side) for side in rng.integers(14, 24, 2))
            left, top = int(rng.integers(0, 96 - wide)), int(rng.integers(0, 72 - high))
            tile = tile.resize((wide, high))
            canvas.paste(tile, (left, top))
            pasted.append(Pasted(name, label, (left, top, wide, high), tile))
        pictures[name] = canvas
    return pictures, pasted


def save(folder: Path, pictures: dict[str, Image.Image]) -> Path:
    """The pictures as PNG files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        picture.save(folder / name)
    return folder


def coco(pasted: list[Pasted], pictures: dict[str, Image.Image]) -> dict[str, Any]:
    """A document as COCO's own files have it."""
    ids = {name: 100 + number for number, name in enumerate(pictures)}
    category = {name: 10 + number for number, name in enumerate(NAMES)}
    return {
        "info": {"description": "digits"},
        "licenses": [],
        "images": [
            {"id": ids[name], "file_name": name, "width": picture.width, "height": picture.height}
            for name, picture in pictures.items()
        ],
        "annotations": [
            {
                "id": 1000 + number,
                "image_id": ids[one.picture],
                "category_id": category[one.label],
                "bbox": list(one.box),
                "area": one.box[2] * one.box[3],
                "segmentation": [],
                "iscrowd": 0,
            }
            for number, one in enumerate(pasted)
        ],
        "categories": [{"id": category[name], "name": name, "supercategory": "digit"} for name in NAMES],
    }


def coco_set(folder: Path, n_pictures: int, each: int, seed: int = 0) -> tuple[Path, list[Pasted]]:
    """COCO's annotations and pictures in a folder; the value is the file."""
    pictures, pasted = scene(n_pictures, each, seed)
    save(folder / "images", pictures)
    file = folder / "instances.json"
    file.write_text(json.dumps(coco(pasted, pictures), indent=1), encoding="utf-8")
    return file, pasted


def crops_as_files(folder: Path, names: list[str], pictures: dict[str, Image.Image], pasted: list[Pasted]) -> Path:
    """The boxes saved by Pillow as PNG files of these names, with a manifest of path, label and group."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("path", "label", "group"))
    for name, one in zip(names, pasted, strict=True):
        left, top, wide, high = one.box
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pictures[one.picture].crop((left, top, left + wide, top + high)).save(folder / name, "PNG")
        rows.writerow((name, one.label, one.picture))
    file = folder / "labels.csv"
    file.write_text(out.getvalue(), encoding="utf-8")
    return file


def yolo_line(one: Pasted, picture: Image.Image) -> str:
    """A line as tools write it: the class, and middle and size of the box with six digits."""
    left, top, wide, high = one.box
    shares = ((left + wide / 2) / picture.width, (top + high / 2) / picture.height)
    return f"{NAMES.index(one.label)} " + " ".join(
        f"{share:.6f}" for share in (*shares, wide / picture.width, high / picture.height)
    )


def yolo_set(folder: Path, n_pictures: int, each: int, *, described: bool = True) -> tuple[Path, list[Pasted]]:
    """YOLO's texts and pictures, every fourth picture for validation; the value is what to audit."""
    pictures, pasted = scene(n_pictures, each)
    for number, (name, picture) in enumerate(pictures.items()):
        part = "val" if number % 4 == 3 else "train"
        save(folder / "images" / part, {name: picture})
        lines = [yolo_line(one, picture) for one in pasted if one.picture == name]
        text = folder / "labels" / part / f"{name[:-4]}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text("".join(f"{line}\n" for line in lines))
    if described:
        file = folder / "data.yaml"
        file.write_text("path: .  # here\ntrain: images/train\nval: images/val\nnames:\n  0: '3'\n  1: \"8\"\n")
        return file, pasted
    (folder / "classes.txt").write_text("3\n8\n")
    return folder, pasted


def voc_xml(name: str, picture: Image.Image, pasted: list[Pasted]) -> str:
    """An annotation as labelImg writes it: tabs, and pixels that count from 1."""
    objects = "".join(
        f"\t<object>\n\t\t<name>{one.label}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        f"\t\t<difficult>0</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>{one.box[0] + 1}</xmin>\n"
        f"\t\t\t<ymin>{one.box[1] + 1}</ymin>\n\t\t\t<xmax>{one.box[0] + one.box[2]}</xmax>\n"
        f"\t\t\t<ymax>{one.box[1] + one.box[3]}</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for one in pasted
    )
    return (
        f"<annotation>\n\t<folder>JPEGImages</folder>\n\t<filename>{name}</filename>\n\t<size>\n"
        f"\t\t<width>{picture.width}</width>\n\t\t<height>{picture.height}</height>\n\t\t<depth>1</depth>\n"
        f"\t</size>\n\t<segmented>0</segmented>\n{objects}</annotation>\n"
    )


def voc_set(folder: Path, n_pictures: int, each: int) -> tuple[Path, list[Pasted]]:
    """Pascal VOC's files and pictures, with lists of train and val; the value is what to audit."""
    pictures, pasted = scene(n_pictures, each)
    save(folder / "JPEGImages", pictures)
    lists: dict[str, list[str]] = {"train": [], "val": []}
    (folder / "Annotations").mkdir()
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for number, (name, picture) in enumerate(pictures.items()):
        lists["val" if number % 4 == 3 else "train"].append(name[:-4])
        text = voc_xml(name, picture, [one for one in pasted if one.picture == name])
        (folder / "Annotations" / f"{name[:-4]}.xml").write_text(text)
    for part, stems in lists.items():
        (folder / "ImageSets" / "Main" / f"{part}.txt").write_text("".join(f"{stem}\n" for stem in stems))
    return folder, pasted


def exported_set(folder: Path, n_pictures: int, each: int, form: str = "coco") -> tuple[Path, list[Pasted]]:
    """Folders train, valid and test as Roboflow exports them, in COCO's or YOLO's form; the value is what to audit.

    Ids begin anew in each of COCO's files, and a category that no box has comes before the others.
    """
    pictures, pasted = scene(n_pictures, each)
    for place, part in enumerate(("train", "valid", "test")):
        own = {name: picture for n, (name, picture) in enumerate(pictures.items()) if (0, 0, 1, 2)[n % 4] == place}
        boxes = [one for one in pasted if one.picture in own]
        save(folder / part / ("images" if form == "yolo" else ""), own)
        if form == "yolo":
            (folder / part / "labels").mkdir()
            for name, picture in own.items():
                text = "".join(f"{yolo_line(one, picture)}\n" for one in boxes if one.picture == name)
                (folder / part / "labels" / f"{name[:-4]}.txt").write_text(text)
            continue
        document = coco(boxes, own)
        document["categories"].insert(0, {"id": 0, "name": NAMES[0], "supercategory": "none"})
        (folder / part / "_annotations.coco.json").write_text(json.dumps(document), encoding="utf-8")
    if form == "yolo":
        places = "".join(
            f"{key}: ../{part}/images\n" for key, part in (("train", "train"), ("val", "valid"), ("test", "test"))
        )
        (folder / "data.yaml").write_text(f"{places}\nnc: 2\nnames: ['3', '8']\n")
    return folder, pasted
