"""Exports of labelling tools as records of path and label: Label Studio's JSON, FiftyOne's samples, CVAT's XML.

An image that several people labelled has the label that most of them gave. Where two labels are equally often given it
has none, and is left out by name.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

from auditor.errors import SourceError
from auditor.system.text import display

_UPLOADS, _LOCAL = "/data/upload/", "/data/local-files/"
"""Where Label Studio keeps images that were uploaded, and what stands before those of its local storage."""


def tool_records(document: object, shown: str) -> list[object] | None:
    """The records of an export of Label Studio or FiftyOne. None for any other document.

    Raises
    ------
    SourceError
        It is such an export, and an image has several labels, or none of the fields is meant.
    """
    if isinstance(document, list) and document and all(map(_is_task, document)):
        return [_of_task(task, shown) for task in document]
    if isinstance(document, list) and document and all(map(_is_short_task, document)):
        return [
            {"path": _path(task["image"]), "label": _one(_words(task["choice"]), task, shown)} | _person(task)
            for task in document
        ]
    if isinstance(document, dict) and isinstance(document.get("samples"), list):
        return _of_samples(document["samples"], shown)
    return None


def _is_task(task: object) -> bool:
    return isinstance(task, dict) and isinstance(task.get("data"), dict) and isinstance(task.get("annotations"), list)


def _is_short_task(task: object) -> bool:
    return isinstance(task, dict) and {"image", "choice", "annotator"} <= task.keys()


def _person(task: Mapping[str, Any]) -> dict[str, object]:
    who = task.get("annotator")
    return {"annotator": str(who)} if isinstance(who, int | str) else {}


def _of_task(task: Mapping[str, Any], shown: str) -> dict[str, object]:
    data, given = task["data"], list[str]()
    people = set[str]()
    for annotation in task["annotations"]:
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        words = [
            word
            for result in annotation.get("result") or ()
            if isinstance(result, dict) and result.get("type") == "choices" and isinstance(result.get("value"), dict)
            for word in _words(result["value"].get("choices"))
        ]
        if words:
            given.append(_one(words, task, shown))
            people.add(str(annotation.get("completed_by", "")))
    own = data.get("path") if isinstance(data.get("path"), str) else None
    image = own or next((value for key, value in data.items() if _names_image(key, value)), "")
    known = {"annotator": next(iter(people))} if len(people) == 1 and "" not in people else {}
    return {"path": _path(image), "label": _most(given), **known}


def _names_image(key: str, value: object) -> bool:
    return isinstance(value, str) and (
        key == "image" or urlsplit(value).path.lower().endswith((".png", ".jpg", ".jpeg"))
    )


def _words(value: object) -> list[str]:
    if isinstance(value, dict):
        value = value.get("choices")
    return [word for word in (value if isinstance(value, list) else [value]) if isinstance(word, str)]


def _one(words: Sequence[str], task: Mapping[str, Any], shown: str) -> str:
    if len(set(words)) > 1:
        raise SourceError(
            f"{shown}: the task {display(str(task.get('id', '?')))[:40]} has several labels in one answer",
            hint="an audit needs one label an image: export one question with one choice",
        )
    return words[0] if words else ""


def _most(given: Iterable[str]) -> str:
    """What most people said; empty where two labels are equally often said."""
    counts = Counter(given).most_common(2)
    return counts[0][0] if counts and (len(counts) == 1 or counts[0][1] > counts[1][1]) else ""


def _path(image: object) -> str:
    """The path of an image as Label Studio names it."""
    text = image if isinstance(image, str) else ""
    if text.startswith(_LOCAL):
        return (parse_qs(urlsplit(text).query).get("d") or [""])[0]
    return unquote(text.removeprefix(_UPLOADS)) if text.startswith(_UPLOADS) else text


def _of_samples(samples: Sequence[object], shown: str) -> list[object] | None:
    """The records of FiftyOne's samples; None where they are none."""
    found = [sample for sample in samples if isinstance(sample, dict) and isinstance(sample.get("filepath"), str)]
    if not found or len(found) < len(samples):
        return None
    fields = Counter(
        name
        for sample in found
        for name, value in sample.items()
        if isinstance(value, dict) and value.get("_cls") == "Classification"
    )
    field = "ground_truth" if "ground_truth" in fields else next(iter(fields), "")
    if len(fields) != 1 and field != "ground_truth":
        named = ", ".join(f"'{display(name)[:40]}'" for name in sorted(fields)) or "none"
        raise SourceError(
            f"{shown}: which field has the given labels cannot be told; its classifications are {named}",
            hint="export one field: dataset.export(..., label_field=FIELD)",
        )
    return [{"path": sample["filepath"], "label": _label(sample.get(field))} for sample in found]


def _label(value: object) -> str:
    label = value.get("label") if isinstance(value, dict) else None
    return label if isinstance(label, str) else ""


def cvat_as_csv(data: bytes, shown: str) -> bytes:
    """Tags of CVAT's "images 1.1" as CSV of path, label and split. An image without a tag has an empty label.

    Raises
    ------
    SourceError
        It is no such file, or an image has several tags.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data or b"\0" in data:
        raise SourceError(f"{shown} is no file of CVAT: it declares a document type", hint="export it again")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise SourceError(f"{shown} is not valid XML: {display(str(error))[:100]}", hint="export it again") from error
    if root.tag != "annotations":
        raise SourceError(
            f"{shown} is XML, but no export of CVAT", hint="export CVAT for images 1.1, or give Pascal VOC's folder"
        )
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(("path", "label", "split"))
    for image in root.iter("image"):
        name, tags = image.get("name", ""), {tag.get("label", "") for tag in image.iter("tag")}
        if len(tags) > 1:
            raise SourceError(
                f"{shown}: the image {display(name)[:80]} has several tags", hint="an audit needs one tag an image"
            )
        writer.writerow((name, next(iter(tags), ""), image.get("subset", "")))
    return made.getvalue().encode("utf-8", "surrogatepass")
