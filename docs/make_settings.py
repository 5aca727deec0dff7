"""Write `settings.md` from `auditor.config`: `python docs/make_settings.py`. A test holds page and code equal."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from auditor.config import STUDY, AuditSettings, RunSettings

PAGE = Path(__file__).with_name("settings.md")

HEAD = """# Settings

<!-- Made from auditor/config.py by docs/make_settings.py: change them, not this page. -->

Every setting has the same name everywhere. It is an option of `auditor audit` (`--noise-rate 0.05`), a key of the table
`[audit]` in `auditor.toml` or of `[tool.auditor.audit]` in `pyproject.toml` (`noise_rate = 0.05`), and an argument of
`auditor.audit` (`noise_rate=0.05`). An option wins over a file. Without `--config FILE` the first of the two files that
has settings is read.
"""

TAIL = """
## The preset `study`

`--preset study` repeats the reference study. It sets {study}. Any of these can still be given. Normalisation, split and
dropped grey-scale images follow from the preset's name.

The gate's rules and their levels are described in [The gate](gate.md).
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, settings in (("What decides the result", AuditSettings), ("Where and how it runs", RunSettings)):
        parts.append(f"\n## {title}\n\n{(settings.__doc__ or '').strip()}\n\n{_table(settings)}")
    study = ", ".join(f"`{name} = {value!r}`".replace("'", '"') for name, value in STUDY.items())
    return "".join([*parts, TAIL.format(study=study)])


def _table(settings: type[Any]) -> str:
    lines = ["| setting | option | default | meaning |", "| --- | --- | --- | --- |"]
    for field in dataclasses.fields(settings):
        word = "" if isinstance(field.default, bool) else field.metadata["metavar"] or _kind(field.default)
        option = f"--{field.name.replace('_', '-')} {word}".strip()
        choices = field.metadata["choices"]
        choices = choices() if callable(choices) else choices
        text = field.metadata["help"] + (f" One of {', '.join(f'`{c}`' for c in choices)}." if choices else "")
        lines.append(f"| `{field.name}` | `{option}` | {_default(field.default)} | {text.replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"


def _kind(default: object) -> str:
    return {int: "N", float: "X"}.get(type(default), "TEXT")


def _default(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{value}`" if value not in ("", ()) else "none"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
