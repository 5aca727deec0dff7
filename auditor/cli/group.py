"""How the command ends: with safe printing, and with one message and an exit code for every error."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
import warnings
from typing import Any

import click

from auditor.errors import AuditorError, ExitCode
from auditor.system.environment import refused_import, settle
from auditor.system.interrupts import interrupt, no_interrupt_lost
from auditor.system.text import terminal_text


class Group(click.Group):
    """Turns every error into one message and its exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        # Torch is not loaded yet. Threads that spin for each other cost ten times what sleeping does on a busy machine.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        settle()
        if not os.environ.get("AUDITOR_TRACEBACK"):
            warnings.simplefilter("ignore")  # other libraries' advice to their own developers
            logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its cache elsewhere is no concern of the user's
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, interrupt)
        try:
            with no_interrupt_lost():
                code = super().main(*args, **kwargs)
        except click.exceptions.Abort:
            code = _interrupted()
        except click.ClickException as error:
            error.show()
            code = ExitCode.USAGE
        except AuditorError as error:
            say(f"error: {terminal_text(str(error))}", err=True)
            code = error.exit_code
        except KeyboardInterrupt:
            code = _interrupted()
        except Exception as error:
            code = _unexpected(error)
        sys.exit(int(code) if isinstance(code, int) else 0)


def say(text: str, *, nl: bool = True, err: bool = False) -> None:
    """Print. A reader that has gone away (`auditor gate OUT | head`) does not change the exit code.

    Nor does a full disk behind standard error. Behind standard output it is an error, because a result is lost.
    """
    stream = sys.stderr if err else sys.stdout
    try:
        click.echo(text, nl=nl, err=err)
    except OSError as error:
        if not err and not isinstance(error, BrokenPipeError):
            raise
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _interrupted() -> ExitCode:
    say("interrupted; run the same command again to go on", err=True)
    return ExitCode.INTERRUPTED


_WHERE = "set AUDITOR_TRACEBACK=1 to see where"

_ROOM = "make room there and run the same command again: earlier files are unchanged, and finished stages are kept"

_ALLOW = "check its permissions, or choose another place with -o"

_WAYS_OUT = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "allow larger files (ulimit -f), or choose another place",
    errno.EACCES: _ALLOW,
    errno.EPERM: _ALLOW,
    errno.EROFS: _ALLOW,
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENAMETOOLONG: "choose a shorter name with -o",
    errno.ESTALE: "the network drive has changed meanwhile: run the same command again",
    errno.EXDEV: "choose a place on one file system, with -o",
    errno.EIO: "the disk or the network drive fails: choose another place with -o",
}
"""What a person can do when the system refuses something."""


def _unexpected(error: Exception) -> ExitCode:
    """An error that nobody foresaw, in one line. The user can ask for the traceback."""
    if os.environ.get("AUDITOR_TRACEBACK"):
        raise error
    what = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    refused = refused_import(error)
    if refused:
        what = refused
    elif isinstance(error, MemoryError):
        what = "not enough memory; audit fewer --classes, or a smaller --image-size"
    elif isinstance(error, OSError):
        what = f"{error.filename}: {error.strerror}" if error.filename else what
        what += f"\n  {_WAYS_OUT.get(error.errno or 0, _WHERE)}"
    else:
        what = f"unexpected {what}\n  {_WHERE}, and please report it"
    say(f"error: {terminal_text(what)}", err=True)
    return ExitCode.USAGE
