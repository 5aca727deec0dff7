"""A rendered report as a browser would see it, for the tests of this room."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser

from builders import make_result

from auditor.report.page import render
from auditor.result import AuditResult


class Page(HTMLParser):
    """Elements, attributes and text of a page, as a browser would see them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.styles: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open and self._open[-1] == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        elif not self._open or self._open[-1] != "style":
            self.texts.append(data)
        else:
            self.styles.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def page_of(**arguments) -> Page:
    """The page of `make_result(**arguments)`."""
    return Page(render(make_result(**arguments)))


def data_of(page: Page) -> dict:
    """The scripts' data in a page."""
    return json.loads(next(text for attrs, text in page.scripts if attrs.get("type") == "application/json"))


def changed(result: AuditResult, **summary) -> AuditResult:
    """A result with other parts of its summary."""
    return dataclasses.replace(result, summary={**result.summary, **summary})
