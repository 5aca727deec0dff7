"""One audit at a time in an output folder; the system drops the lock when its holder dies."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from auditor.errors import ConfigError, LockedError

NAME = ".auditor.lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock inside the block.

    Raises
    ------
    LockedError
        When another process holds it.
    ConfigError
        When nothing can be written there.
    """
    import fcntl

    path = folder / NAME
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"the output folder {folder} cannot be written to: {error.strerror}", hint="choose another with -o"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError(
                f"another audit is writing to {folder}", hint="wait for it to end, or choose another folder with -o"
            ) from error
        yield
        # Unlinked while it is held: whoever opened it meanwhile holds a lock on a file without a name, and two audits
        # could follow each other, never overlap on the files they write whole.
        path.unlink(missing_ok=True)
    except LockedError:
        raise
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
