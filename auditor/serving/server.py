"""Runs the server on this machine's own address until it is interrupted."""

from __future__ import annotations

import contextlib
import secrets
import shlex
import socket
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.data.reopening import reopen
from auditor.errors import AuditorError, ConfigError
from auditor.result import AuditResult
from auditor.serving.desk import Desk
from auditor.serving.guard import Guard
from auditor.serving.kept_page import KeptPage
from auditor.serving.sight import Sight
from auditor.session import served_page
from auditor.system.files import reason
from auditor.system.lock import locked
from auditor.system.text import sentence

if TYPE_CHECKING:
    from starlette.applications import Starlette

HOST = "127.0.0.1"
"""No other machine reaches it."""

LOCK = ".auditor-serve.lock"
"""Two servers of one audit would each write over what the other one kept."""


def serve(
    out: str | Path, *, port: int = 0, source: str = "", browse: bool = False, tell: Callable[[str, str], None]
) -> str:
    """Show the report of a finished audit at an address of this machine, until somebody interrupts it.

    Parameters
    ----------
    out
        The audit's folder. Decisions go to the folder `decisions` in it.
    port
        The port; 0 takes a free one.
    source
        Where the data set lies now; empty where the audit found it.
    browse
        Open the address in the system's browser.
    tell
        Takes the address when the server answers there, and what a person should know of it.

    Returns
    -------
    str
        What was decided, where it lies, and what to do next.

    Raises
    ------
    ConfigError
        The web library is not installed, or the port is taken.
    LockedError
        Another server shows this audit.
    ResultError, DecisionsError
        The folder holds no audit, or decisions that cannot be read.
    """
    result = AuditResult.load(out)
    folder = Path(out)
    with locked(folder, LOCK, f"another server shows {folder}", hint="stop it, or use the address that it printed"):
        desk = Desk(result, folder)
        sight, lacks = _sight(result, source, folder)
        page = KeptPage(folder, served_page)
        app = _application(desk, sight, page)
        page()  # an audit that has no page is refused before there is an address
        with _listening(port) as listener:
            place = listener.getsockname()[1]
            token = secrets.token_urlsafe(24)
            address = f"http://{HOST}:{place}/{token}/"
            hosts = [f"{name}:{place}" for name in (HOST, "localhost")]
            tell(address, f"{lacks}Decisions go to {desk.folder} as they are made. Press Ctrl-C to stop.")
            if browse:
                webbrowser.open(address)
            _run(Guard(app, token, hosts), listener)
    return _outcome(desk, out)


def _sight(result: AuditResult, source: str, folder: Path) -> tuple[Sight, str]:
    """What shows the items, and a line that says why it cannot."""
    try:
        return Sight(result, reopen(result, source=source, out=folder)), ""
    except AuditorError as error:
        if source:
            raise
        why = f"the data set cannot be opened, so nothing is shown at full size: {error.message}"
        return Sight(result, None, why), f"{sentence(why)}\n  {error.hint}\n"


def _application(desk: Desk, sight: Sight, page: Callable[[], bytes]) -> Starlette:
    try:
        import uvicorn  # noqa: F401  # said now, not when the first browser asks

        from auditor.serving.app import application
    except ImportError as error:
        raise ConfigError(
            f"the web library for this command is not installed: {error}", hint="pip install 'auditor[serve]'"
        ) from error
    return application(desk, sight, page)


def _listening(port: int) -> socket.socket:
    """A socket of this machine's own address; 0 takes a free port."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind((HOST, port))
        listener.listen()  # from here on a browser that comes early waits
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"port {port} of this machine cannot be used: {reason(error)}", hint="leave --port out to take a free one"
        ) from error
    return listener


def _run(app: Guard, listener: socket.socket) -> None:
    """Answer requests until the process is interrupted."""
    import uvicorn

    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=2,
    )
    with contextlib.suppress(KeyboardInterrupt):  # this is how a server ends
        uvicorn.Server(config).run(sockets=[listener])


def _outcome(desk: Desk, out: str | Path) -> str:
    """What was decided, and the command that applies it."""
    counts = desk.counts
    if not counts:
        return "No decision was made."
    who = ", ".join(f"{n:,} by {name or 'a reviewer without a name'}" for name, n in counts.items())
    kept = shlex.join(str(desk.file_of(name)) for name in counts)
    return f"Decisions: {who}.\nNext: auditor review apply {shlex.quote(str(out))} {kept}"
