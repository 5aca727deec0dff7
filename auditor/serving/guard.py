"""Who may ask: a browser on this machine that knows the token, from our own page. Everybody else gets nothing.

A page of somebody else's that is open in the same browser can send requests to this machine. It does not know the
token, its requests carry its own origin, and a name that it lets point to this machine (DNS rebinding) is a foreign
host. Each of these is refused on its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An application as the ASGI specification has it."""

HEADERS = (
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""Stand in every answer."""

_OURS = (b"same-origin", b"none")
"""What a browser says of a request from our own page, and of an address that the user typed."""


class Guard:
    """Lets requests through to an application if they know the token and come from our own page.

    Parameters
    ----------
    app
        The application. It sees paths without the token.
    token
        The first part of every path.
    hosts
        What the header `Host` may be: our names, each with the port.
    """

    def __init__(self, app: App, token: str, hosts: Iterable[str]) -> None:
        self._app, self._token = app, token.encode("ascii")
        self._hosts = {host.encode("ascii") for host in hosts}
        self._origins = {b"http://" + host for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI asks for it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        rest = _split(scope["path"])[1]
        inner = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode("utf-8", "replace"), "root_path": ""}
        await self._app(inner, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and the sentence for a request that is refused; None for all others."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        if headers.get(b"host", [])[:2] not in [[host] for host in self._hosts]:
            return 403, "This server answers to its own address only."
        if any(origin not in self._origins for origin in headers.get(b"origin", [])):
            return 403, "This request comes from a foreign page."
        if scope["method"] != "GET" and any(site not in _OURS for site in headers.get(b"sec-fetch-site", [])):
            return 403, "This request comes from a foreign page."
        token = _split(scope["path"])[0].encode("utf-8", "replace")
        if not secrets.compare_digest(token, self._token):
            return 404, "Nothing is here. Open the address that the command printed."
        return None


def _split(path: str) -> tuple[str, str]:
    """The first part of a path and what follows it. `OPTIONS *` has neither."""
    first, _, rest = path.partition("/")[2].partition("/")
    return first, rest


async def _refuse(send: Send, status: int, words: str) -> None:
    body = f"{words}\n".encode()
    kind = (b"content-type", b"text/plain; charset=utf-8")
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [kind, length, *HEADERS]})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    """The same, with our headers wherever the application has not set them itself."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message.get("headers", [])}
            added = [(name, value) for name, value in HEADERS if name not in own]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return sending
