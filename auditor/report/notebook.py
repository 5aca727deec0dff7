"""A result as a notebook shows it: one verdict, the share of wrong labels, and the first suspects.

It stands alone: no script, no style sheet, no address. Labels, names and texts are hostile and are escaped.
"""

from __future__ import annotations

import tempfile
import webbrowser
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from markupsafe import Markup

from auditor.certificate.documents import CertificateDocument
from auditor.report.headline import Headline, headline_of
from auditor.report.looks import looks_in
from auditor.report.page import write_report
from auditor.report.pictures import Pictures
from auditor.report.wording import cannot_tell, name_markup, percent, percents, signed
from auditor.result import AuditResult
from auditor.result.audit import complete_result

FIRST = 10
"""Suspects that a notebook shows."""

_LINE = "border-top:1px solid rgba(128,128,128,.35);padding:.35em .9em .35em 0;vertical-align:top;text-align:left"
_CELL = f"{_LINE};max-width:31em;overflow-wrap:anywhere"
_SEEN = "max-width:30em;max-height:8.7em;overflow:hidden;white-space:pre-wrap;unicode-bidi:plaintext"


@dataclass(frozen=True, repr=False)
class ShownResult(AuditResult):
    """A result that a notebook shows and a browser opens.

    Attributes
    ----------
    folder
        Where its files are; None where none were written.
    """

    folder: Path | None = None

    def _repr_html_(self) -> str:
        """The verdict and the first suspects, for a notebook."""
        with complete_result():
            return str(view(self, self.folder))

    def show(self) -> Path:
        """Open the report in the browser. One that was not written is written into a new folder for temporary files.

        Returns
        -------
        Path
            Where the report is.
        """
        page = None if self.folder is None else self.folder / "report.html"
        if page is None or not page.is_file():
            page = write_report(self, tempfile.mkdtemp(prefix="auditor-"))
        webbrowser.open(page.resolve().as_uri())
        return page


def shown(result: AuditResult, folder: str | Path | None = None) -> ShownResult:
    """The same result, for a notebook."""
    parts: dict[str, Any] = {field.name: getattr(result, field.name) for field in fields(AuditResult)}
    return ShownResult(**parts, folder=None if folder is None else Path(folder))


def view(result: AuditResult, folder: Path | None = None) -> Markup:
    """The verdict, the share, and the first suspects as markup that needs nothing else."""
    certificate = None if folder is None else looks_in(folder, result).certificate
    said = headline_of(result.summary, certificate)
    pictures = Pictures(result)
    rows = Markup("").join(_row(pictures, row) for row in result.suspects(FIRST).to_dict("records"))
    heads = Markup("").join(
        Markup('<th scope="col" style="{}">{}</th>').format(_LINE, title)
        for title in (result.noun.one, "given label", "suggested label", "probably wrong")
    )
    count = f"{result.noun.count(result.summary['dataset']['n_images'])}, {len(result.classes)} classes"
    return Markup(
        '<div style="font:14px/1.45 system-ui,sans-serif;overflow-x:auto">'
        '<p style="font-size:1.15em;margin:.2em 0">{}.</p>'
        '<p style="opacity:.8;margin:.2em 0 .8em">{}{}. Audit {}.</p>'
        '<table style="border-collapse:collapse"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(said.estimate, _share(result, certificate, said), count, result.audit_id, heads, rows)


def _share(result: AuditResult, certificate: CertificateDocument | None, said: Headline) -> Markup:
    """The share of wrong labels with its interval, or why there is none."""
    calibration = result.summary["calibration"]
    known = certificate is None and calibration is not None and calibration["decided"]
    share = calibration["share"] if known and calibration is not None and not cannot_tell(calibration) else None
    if share:
        return Markup("Share: {} (95% interval {}). ").format(percent(share["value"]), percents(share["interval"]))
    return Markup("{} ").format(said.open_question) if said.open_question else Markup("")


def _row(pictures: Pictures, row: dict[Any, Any]) -> Markup:
    p, suspicion = row["p_mislabelled"], row["suspicion"]
    worth = f"suspicion {signed(suspicion)}" if p is None or p != p else percent(float(p))
    suggested = name_markup(row["suggested_label"]) if row["suggested_label"] else Markup("none")
    cells = (_seen(pictures, str(row["path"])), name_markup(row["label"]), suggested, worth)
    return Markup("<tr>{}</tr>").format(
        Markup("").join(Markup('<td style="{}">{}</td>').format(_CELL, cell) for cell in cells)
    )


def _seen(pictures: Pictures, path: str) -> Markup:
    """The picture, the beginning of the text, or the name of an item."""
    url = pictures.urls.get(path)
    if url is not None:
        return Markup('<img src="{}" alt="" style="max-height:72px">{}').format(url, _name(path))
    text = pictures.beginning(path)
    if text:
        return Markup('<div dir="auto" style="{}">{}</div>').format(_SEEN, text)
    return _name(path)


def _name(path: str) -> Markup:
    return Markup('<div style="opacity:.75;font-size:.85em">{}</div>').format(name_markup(path))
