"""One reader for files that hold a JSON object with a `kind` and a `schema_version`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from auditor.errors import AuditorError
from auditor.system.files import read_text, reason


def read_document(
    path: str | Path,
    *,
    kind: str | None,
    version: int | None,
    error: type[AuditorError],
    what: str,
    hint: str = "",
) -> dict[str, Any]:
    """The JSON object in a file, after a check of its kind and schema version.

    Parameters
    ----------
    path
        The file. Only a regular file is read: a pipe or a device is refused.
    kind
        What the object must have under `kind`. None checks nothing: `audit.json` has no kind.
    version
        What the object must have under `schema_version`. None checks nothing.
    error
        The class of the error that is raised.
    what
        The name of this sort of file in a sentence, without an article: "baseline", "decisions file".
    hint
        How the user gets a good file. Empty gives a general hint.

    Returns
    -------
    dict
        The whole object. Only `kind` and `schema_version` have been checked.

    Raises
    ------
    AuditorError
        An `error`. The file cannot be read, is not valid JSON, or has another kind or schema version. Its `__cause__`
        is the `OSError` or `ValueError` behind it, where there is one.
    """
    try:
        document = json.loads(read_text(path))
    except OSError as cause:
        raise error(f"cannot read the {what} {path}: {reason(cause)}", hint=hint or "check the path") from cause
    except (ValueError, RecursionError) as cause:
        raise error(
            f"the {what} {path} cannot be read, because it is not valid JSON: {reason(cause)}",
            hint=hint or "after a merge, look for conflict marks and missing commas; else write the file again",
        ) from cause
    if not isinstance(document, dict) or (kind is not None and document.get("kind") != kind):
        article = "an" if what[:1] in "aeiou" else "a"
        raise error(f"{path} is not {article} {what}", hint=hint or "check the path")
    if version is not None and document.get("schema_version") != version:
        raise error(
            f"the {what} {path} has schema version {document.get('schema_version')!r}, "
            f"but this auditor reads version {version}",
            hint=hint or "use the auditor that wrote it, or write the file again with this one",
        )
    return document
