"""Answers a browser's requests: the page, an item at full size, decisions to keep and decisions that were kept.

| request | answer |
| --- | --- |
| `GET /` | the page |
| `GET /item/AUDIT/ROW` | the item in this row of the audit's ranking |
| `GET /decisions?reviewer=NAME&since=REVISION` | the reviewer's decisions; 204 where nothing has changed |
| `POST /decisions` | takes `{"audit", "reviewer", "changes"}`, and answers as `GET` does |

With a reviewer's decisions comes what other reviewers say of the same items, and how far they agree.

All of them lie below the token, which `guard.py` asks for. An error is a sentence in plain text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from auditor.errors import AuditorError, DecisionsError
from auditor.serving.desk import Desk, Held
from auditor.serving.sight import Sight
from auditor.system.files import reason
from auditor.system.text import printable, sentence

MOST_BYTES = 8_000_000
"""The largest request: 50,000 decisions at once are smaller."""

_AGAIN = "This audit was run again. Start the command once more, and open the address that it prints."


def application(desk: Desk, sight: Sight, page: Callable[[], bytes]) -> Starlette:
    """The application for one audit.

    Parameters
    ----------
    page
        Gives the page as the audit's folder has it now.
    """

    def show_page(request: Request) -> Response:
        return HTMLResponse(page())

    def show_item(request: Request) -> Response:
        _same_audit(desk, request.path_params["audit"])
        shown = sight.show(request.path_params["row"])
        # The address names the audit, and an audit's items do not change: what has changed is not shown.
        kept = {"cache-control": "private, max-age=600"}
        return Response(shown.data, media_type=shown.media_type, headers=kept)

    def show_decisions(request: Request) -> Response:
        if request.query_params.get("since") == desk.revision:
            return Response(status_code=204)
        return _answer(desk.held(request.query_params.get("reviewer", "")))

    async def take_decisions(request: Request) -> Response:
        document = await _document(request)
        _same_audit(desk, document.get("audit"))
        reviewer = document.get("reviewer")
        if not isinstance(reviewer, str):
            raise HTTPException(400, "The reviewer's name must be text.")
        try:
            return _answer(await run_in_threadpool(desk.take, reviewer, document.get("changes")))
        except OSError as error:
            raise HTTPException(507, f"Your decision could not be written: {reason(error)}.") from error

    routes = [
        Route("/", show_page),
        Route("/item/{audit}/{row:int}", show_item),
        Route("/decisions", show_decisions, methods=["GET"]),
        Route("/decisions", take_decisions, methods=["POST"]),
    ]
    told: dict[Any, Any] = {HTTPException: _http_error, AuditorError: _our_error, OSError: _unread}
    return Starlette(routes=routes, exception_handlers=told)


def _same_audit(desk: Desk, audit: object) -> None:
    if audit != desk.audit_id:
        raise HTTPException(409, _AGAIN)


def _answer(held: Held) -> Response:
    return JSONResponse(
        {
            "revision": held.revision,
            "decisions": held.entries,
            "others": held.others,
            "agreement": held.agreement,
        }
    )


async def _document(request: Request) -> dict[str, Any]:
    """The request's JSON object. It is read piece by piece, and no further than allowed."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "This address takes JSON.")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise HTTPException(413, "These are more decisions than one request may hold.")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "The request is not JSON.") from error
    if not isinstance(document, dict):
        raise HTTPException(400, "The request is no JSON object.")
    return document


def _http_error(request: Request, error: HTTPException) -> Response:
    return PlainTextResponse(f"{error.detail}\n", status_code=error.status_code)


def _our_error(request: Request, error: AuditorError) -> Response:
    status = 400 if isinstance(error, DecisionsError) else 404
    return PlainTextResponse(f"{sentence(printable(error.message))}\n", status_code=status)


def _unread(request: Request, error: OSError) -> Response:
    return PlainTextResponse(f"The audit's files cannot be read: {reason(error)}.\n", status_code=500)
