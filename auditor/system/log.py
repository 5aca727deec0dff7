"""The log file of a run: one JSON object a line for each event, for a program that watches the run from outside."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import stat
from pathlib import Path
from typing import TextIO

from auditor.errors import ConfigError
from auditor.system import files
from auditor.system.files import reason
from auditor.system.memory import memory_mb

_BEGINNING = b'{"time": "'

_OTHER_FILE = "choose another with --log-file"


class Log:
    """An open log. It may fail to grow later (a full disk): the work that it tells about goes on.

    Parameters
    ----------
    path
        The file. New lines go to its end. A pipe or a device may take its place.

    Raises
    ------
    ConfigError
        The file cannot be opened, or it holds something else than a log.
    """

    def __init__(self, path: str) -> None:
        if not _may_grow(path):
            raise ConfigError(
                f"the log file {path} holds something else than a log, and stays as it is", hint=_OTHER_FILE
            )
        try:
            # O_NONBLOCK: a pipe that nobody reads is an error at once. Without it the open call would wait for ever.
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | files.UNWAITING, 0o666)
            self._file: TextIO = os.fdopen(handle, "a", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"the log file {path} cannot be written: {reason(error)}", hint=_OTHER_FILE) from error

    def write(self, event: str, **values: object) -> None:
        """Add a line: `time` (ISO 8601, UTC), `event`, the `values`, and `memory_mb` (resident, of this process)."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "event": event, **values, "memory_mb": memory_mb()})
        with contextlib.suppress(OSError, ValueError):
            self._file.write(line + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()


def _may_grow(path: str) -> bool:
    """Whether lines may be added: to a new file, an empty one, one that begins like a log, a pipe or a device.

    Without this check a slip of the hand could put lines of JSON into a manifest or an image.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return True
        with Path(path).open("rb") as file:
            first = file.readline(1000)
    except OSError:  # opening the file will say what is wrong
        return True
    whole = first.endswith(b"\n")
    return not first or (first.startswith(_BEGINNING) and (b'"event": "' in first or not whole))
