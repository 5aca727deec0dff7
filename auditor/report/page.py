"""Renders the page: one self-contained HTML file, made from an audit's result without network, model or clock.

`templates/` holds the page, its style and its scripts. Labels and file names may be hostile text: Jinja2 escapes them
in HTML, `_script_json` escapes them in scripts, and `printable` makes control characters visible. Equal results give
equal bytes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from jinja2.bccache import Bucket
from markupsafe import Markup

from auditor.report.context import PageContext, page_context
from auditor.report.looks import Looks
from auditor.report.originals import Originals, beside
from auditor.report.payload import Kept, Payload, payload
from auditor.report.pictures import Pictures
from auditor.report.wording import (
    chance,
    command_shown,
    effect,
    few,
    fews,
    name_markup,
    number,
    percent,
    percents,
    place,
    seconds_text,
    share,
    signed,
    whole,
)
from auditor.result import AuditResult
from auditor.result.audit import incomplete
from auditor.result.nouns import Noun
from auditor.system import files
from auditor.system.text import printable

_STYLES = ("report.css", "review.css")

_SCRIPTS = (
    "dom.js",
    "decisions.js",
    "forecast.js",
    "excerpt.js",
    "arrange.js",
    "likeliest.js",
    "chooser.js",
    "zoom.js",
    "toast.js",
    "remote.js",
    "queue.js",
    "selection.js",
    "deciding.js",
    "keys.js",
    "pictures.js",
    "reviewers.js",
    "progress.js",
    "tabs.js",
    "filters.js",
    "listing.js",
    "transfer.js",
    "map.js",
    "explore.js",
    "classpage.js",
    "similar.js",
    "card.js",
    "address.js",
    "review.js",
)
"""Each defines the part that it is named after. The last one puts them together."""


def render(
    result: AuditResult,
    gate: Mapping[str, Any] | None = None,
    comparison: Mapping[str, Any] | None = None,
    looks: Looks | None = None,
    *,
    served: bool = False,
    originals: Originals | None = None,
) -> str:
    """The report as one HTML document.

    Parameters
    ----------
    result
        What an audit found; nothing else is read.
    gate
        The gate's JSON document about this audit, where there is one. Its `verdict` and `rules` are shown.
    comparison
        What `auditor.review.compare` says about an earlier audit. Its `sentences` are shown.
    looks
        The sample and the certificate that lie beside the audit's files.
    served
        The page comes from `auditor.serving`: it asks there for items at full size, and keeps decisions there.
    originals
        The audited files that lie beside the page, to link to.

    Raises
    ------
    ResultError
        When the audit's files lack something that the page shows.
    """
    try:
        context = page_context(result, gate, comparison, looks or Looks())
        return _rendered(result, context, looks or Looks(), Kept(served, originals))
    except (jinja2.UndefinedError, KeyError) as error:  # no other error is the result's fault
        raise incomplete(error) from error


def _rendered(result: AuditResult, context: PageContext, looks: Looks, kept: Kept) -> str:
    pictures = Pictures(result)
    environment = _environment(pictures, result.noun)
    body = environment.get_template("report.html").render(vars(context))
    data = payload(result, pictures, looks, taken=len(body.encode()), kept=kept)
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
        served=kept.served,
    )


def write_report(
    result: AuditResult,
    out: str | Path,
    gate: Mapping[str, Any] | None = None,
    comparison: Mapping[str, Any] | None = None,
    looks: Looks | None = None,
) -> Path:
    """Write `report.html` into the folder `out`, whole or not at all, and return its path.

    The arguments are those of `render`.
    """
    path = Path(out) / "report.html"
    files.write_text(path, render(result, gate, comparison, looks, originals=beside(result, out)))
    return path


def _script_json(document: Payload) -> str:
    """JSON that cannot end the script element around it, whatever text it holds."""
    text = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _environment(pictures: Pictures, noun: Noun) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_compiled(),
    )
    environment.globals.update(picture=pictures.show, noun=noun)
    environment.filters.update(
        name=name_markup,
        place=place,
        chance=chance,
        command=command_shown,
        share=share,
        pct=percent,
        pcts=percents,
        num=number,
        count=whole,
        few=few,
        fews=fews,
        signed=signed,
        effect=effect,
        items=noun.count,
        seconds=seconds_text,
    )
    return environment


class _Compiled(jinja2.BytecodeCache):
    """What the templates were compiled to, while the process lives: that takes a third of a page's time."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key] = bucket.bytecode_to_string()


@functools.cache
def _compiled() -> _Compiled:
    return _Compiled()


def _template_text(name: str) -> str:
    return resources.files("auditor.templates").joinpath(name).read_text(encoding="utf-8")
