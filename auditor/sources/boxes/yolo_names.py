"""What describes a data set for YOLO: the names of its classes, and where the pictures of each split lie."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from auditor.errors import SourceError
from auditor.sources.base import split_name
from auditor.system.files import UNWAITING, read_regular, reason
from auditor.system.text import display, short

MAX_BYTES = 4 << 20
"""A longer description is refused."""

NAME_FILES = ("classes.txt", "obj.names", "labels/classes.txt")
"""Lists of the classes, a line each, that stand beside the texts where there is no description."""

_SPLITS = ("train", "val", "valid", "validation", "test")

_KEYS = re.compile(rb"^(names|train|val|valid|test)\s*:", re.MULTILINE)


@dataclass(frozen=True)
class Described:
    """What a description says.

    Attributes
    ----------
    data
        Its bytes.
    path
        The folder where its paths begin, as it says; empty for its own.
    names
        The name of each class by its number.
    parts
        The places of the pictures of each split: folders, or lists of pictures.
    """

    data: bytes = b""
    path: str = ""
    names: Mapping[int, str] = field(default_factory=dict)
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def described_keys(file: str) -> set[str]:
    """Which of `names` and the splits a YAML file has, as far as its first part tells."""
    try:
        with open(os.open(file, os.O_RDONLY | UNWAITING), "rb") as opened:
            return {key.decode() for key in _KEYS.findall(opened.read(MAX_BYTES))}
    except OSError:
        return set()


def described(file: str, shown: str) -> Described:
    """What the description in a file says. Every value of it is read as text, so nothing of it runs or is converted.

    Raises
    ------
    SourceError
        It is too long, cannot be read, or says something else.
    """
    try:
        data = read_regular(file, limit=MAX_BYTES)
        document = yaml.BaseLoader(data.decode("utf-8-sig")).get_single_data()  # it makes texts alone
    except OSError as error:
        raise SourceError(f"cannot read {shown}: {reason(error)}", hint="check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        first = display(str(error).splitlines()[0] if str(error) else type(error).__name__)[:120]
        raise SourceError(f"{shown} is no valid YAML: {first}", hint="correct the file") from error
    except RecursionError as error:
        raise SourceError(f"{shown} is nested too deep to be read", hint="correct the file") from error
    if not isinstance(document, dict):
        raise SourceError(f"{shown} describes no data set", hint="it needs names, and train or val")
    path = document.get("path", "")
    parts: dict[str, tuple[str, ...]] = {}
    for key in _SPLITS:
        places = document.get(key)
        listed = [places] if isinstance(places, str) else places if isinstance(places, list) else []
        if any(not isinstance(place, str) for place in listed):
            raise SourceError(f"{shown}: '{key}' names no folder", hint="write a folder, or a list of folders")
        split = split_name(key) or ""
        parts[split] = (*parts.get(split, ()), *(place for place in listed if place.strip()))
    return Described(
        data,
        path if isinstance(path, str) else "",
        _named(document.get("names"), shown),
        {split: places for split, places in parts.items() if places},
    )


def _named(names: Any, shown: str) -> dict[int, str]:
    """The names of a list, or by number."""
    if names in (None, "", {}, []):
        return {}
    pairs = (
        list(enumerate(names)) if isinstance(names, list) else list(names.items()) if isinstance(names, dict) else []
    )
    numbers = [key if isinstance(key, int) else int(key) if key.isascii() and key.isdigit() else -1 for key, _ in pairs]
    if not pairs or any(not isinstance(name, str) for _, name in pairs) or min(numbers) < 0:
        raise SourceError(f"{shown}: 'names' is neither a list of names nor names by number", hint="correct the file")
    return _apart({number: name.strip() for number, (_, name) in zip(numbers, pairs, strict=True)}, shown)


def names_of_lines(data: bytes, shown: str) -> dict[int, str]:
    """The names of a list with a line for each class.

    Raises
    ------
    SourceError
        It is no text, or names two classes alike.
    """
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SourceError(f"{shown} is not UTF-8", hint="save it as UTF-8") from error
    return _apart({number: line.strip() for number, line in enumerate(lines)}, shown)


def _apart(names: dict[int, str], shown: str) -> dict[int, str]:
    name, times = Counter(filter(None, names.values())).most_common(1)[0] if any(names.values()) else ("", 0)
    if times > 1:
        raise SourceError(f"{shown}: {times} classes are called '{short(name)}'", hint="give each a name of its own")
    return names
