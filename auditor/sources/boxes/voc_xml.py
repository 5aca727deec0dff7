"""Pascal VOC's XML files: what stands in one, and the same file with other classes.

The parser is expat, told to refuse every declaration of an entity. So nothing grows, and no other file is read. It says
where each part of the file begins, and all that is not changed stays byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

from auditor.sources.amended_text import DROPPED

MAX_BYTES = 64 << 20
"""A longer file is not read."""

_LONGEST = 10_000
"""Characters of a value that are kept."""

_SIDES = ("xmin", "ymin", "xmax", "ymax")


class NotReadable(ValueError):
    """A file is no annotation that can be read. The message is a short reason."""


@dataclass
class Thing:
    """An object of a picture.

    Attributes
    ----------
    line
        The line on which it begins.
    span
        Where its element begins and ends, in bytes.
    name_span
        Where the text of its name begins and ends, in bytes.
    name
        Its class.
    sides
        What stands in `bndbox`, by name.
    """

    line: int
    span: tuple[int, int]
    name_span: tuple[int, int] = (0, 0)
    name: str = ""
    sides: dict[str, str] = field(default_factory=dict)


@dataclass
class Annotated:
    """What stands in a file: the name of its picture, width and height as they are said, objects, and the encoding."""

    filename: str = ""
    size: dict[str, str] = field(default_factory=dict)
    things: list[Thing] = field(default_factory=list)
    encoding: str = "utf-8"


class _Handler:
    """Follows the parser through `annotation`, and keeps what is ours."""

    def __init__(self, data: bytes) -> None:
        self.found, self._data = Annotated(), data
        self._path: list[str] = []
        self._text: list[str] = []
        self._begun = 0
        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = False
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler, parser.XmlDeclHandler = self._refuse, self._declared
        parser.ExternalEntityRefHandler = self._refuse

    def _refuse(self, *_: Any) -> Any:
        raise NotReadable("it declares entities, which are never followed")

    def _declared(self, version: str, encoding: str | None, standalone: int) -> None:
        self.found.encoding = encoding or "utf-8"

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._path.append(tag)
        if len(self._path) > 100:
            raise NotReadable("it is nested too deep")
        self._text.clear()
        at = self.parser.CurrentByteIndex
        self._begun = at
        if self._path[1:] == ["object"]:
            self.found.things.append(Thing(self.parser.CurrentLineNumber, (at, at)))

    def _characters(self, text: str) -> None:
        if sum(map(len, self._text)) < _LONGEST:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        inner, text, at = self._path[1:], "".join(self._text).strip(), self.parser.CurrentByteIndex
        self._path.pop()
        found, things = self.found, self.found.things
        if inner == ["filename"]:
            found.filename = text
        elif len(inner) == 2 and inner[0] == "size":
            found.size[tag] = text
        elif inner == ["object", "name"]:
            things[-1].name, things[-1].name_span = text, (self._begun, at)
        elif len(inner) == 3 and inner[:2] == ["object", "bndbox"] and tag in _SIDES:
            things[-1].sides[tag] = text
        elif inner == ["object"]:
            things[-1].span = (things[-1].span[0], at)
        self._text.clear()


def read_xml(data: bytes) -> Annotated:
    """What stands in a file.

    Raises
    ------
    NotReadable
        It is no XML, declares entities, or is no annotation.
    """
    handler = _Handler(data)
    try:
        handler.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise NotReadable(f"it is no valid XML: {expat.ErrorString(error.code)}, line {error.lineno}") from error
    except NotReadable:
        raise
    except (ValueError, LookupError) as error:
        raise NotReadable("its encoding is not known") from error
    return handler.found


def changed_xml(data: bytes, changes: Mapping[int, object]) -> bytes:
    """A file with other classes by the number of an object, and without some objects. All else stays, byte for byte."""
    found = read_xml(data)
    wide = found.encoding.lower().startswith(("utf-16", "utf16"))
    encoding = "utf-16-le" if wide and data.startswith(b"\xff\xfe") else "utf-16-be" if wide else found.encoding
    kept, before = list[bytes](), 0
    for number, thing in enumerate(found.things, start=1):
        new = changes.get(number)
        if new is None:
            continue
        begin, end = _whole(data, thing.span, encoding) if new is DROPPED else _inner(data, thing.name_span, encoding)
        text = b"" if new is DROPPED else escape(str(new)).encode(encoding, "xmlcharrefreplace")
        kept += [data[before:begin], text]
        before = end
    return b"".join([*kept, data[before:]])


def _whole(data: bytes, span: tuple[int, int], encoding: str) -> tuple[int, int]:
    """An element with its closing tag, and the line end and blanks before it."""
    close = ">".encode(encoding)
    end = data.index(close, span[1]) + len(close)
    begin, one = span[0], len(close)
    while begin >= one and data[begin - one : begin].decode(encoding, "replace") in (" ", "\t", "\n", "\r"):
        begin -= one
    return begin, end


def _inner(data: bytes, span: tuple[int, int], encoding: str) -> tuple[int, int]:
    """The text of an element without the blanks around it. An element without text raises `ValueError`."""
    close = ">".encode(encoding)
    begin = data.index(close, span[0]) + len(close)
    text = data[begin : span[1]].decode(encoding)
    if not text.strip() or "<" in text:
        raise ValueError("the name is no plain text")
    before, after = re.match(r"\s*", text), re.search(r"\s*$", text)
    assert before is not None and after is not None
    return begin + len(before[0].encode(encoding)), span[1] - len(after[0].encode(encoding))
