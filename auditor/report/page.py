"""The report: one self-contained HTML file made from an audit's result alone, without network, model or clock.

`templates/` holds page, style and scripts; this module turns a result into what they show. Labels and file names are
hostile text: Jinja2 escapes them in HTML, `_script_json` in scripts, and `printable` makes control characters visible.
Equal results give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from auditor.report import payload
from auditor.report.context import page_context
from auditor.report.wording import (
    effect,
    few,
    images_text,
    name_markup,
    number,
    percent,
    percents,
    seconds_text,
    share,
    signed,
    whole,
)
from auditor.result import AuditResult
from auditor.system import files
from auditor.system.text import printable

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
    context = page_context(result, gate, comparison)
    body = environment.get_template("report.html").render(context)
    data = payload.payload(result, pictures.urls, pictures.inlined, pictures.later, len(body.encode()))
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
        name=name_markup,
        share=share,
        pct=percent,
        pcts=percents,
        num=number,
        count=whole,
        few=few,
        signed=signed,
        effect=effect,
        images=images_text,
        seconds=seconds_text,
    )
    return environment


def _template_text(name: str) -> str:
    return resources.files("auditor.templates").joinpath(name).read_text(encoding="utf-8")
