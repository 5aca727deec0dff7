"""What an error of a store means, in words, and whether to try again."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from auditor.errors import AuditorError, SourceError

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries. One more try than pauses."""

PASSING, STOPS, NO_PLACE, OBJECT = "passing", "stops", "no place", "object"
"""What an error is about: the moment, the credentials, the whole place, or one object alone."""

_CODES: dict[str, tuple[str, str]] = {
    "NoSuchBucket": (NO_PLACE, "there is no such bucket"),
    "NoSuchKey": (OBJECT, "there is no such object"),
    "PreconditionFailed": (OBJECT, "the object has changed since it was listed"),
    "InvalidObjectState": (OBJECT, "the object lies in an archive tier and has to be restored first"),
    "AccessDenied": (OBJECT, "access is denied"),
    "ExpiredToken": (STOPS, "the credentials have expired"),
    "InvalidAccessKeyId": (STOPS, "the access key is unknown"),
    "SignatureDoesNotMatch": (STOPS, "the secret key is wrong"),
    "RequestTimeTooSkewed": (STOPS, "the clock of this machine is wrong"),
    "AuthorizationHeaderMalformed": (STOPS, "the credentials or the region are wrong"),
    "SlowDown": (PASSING, "it asks for fewer requests"),
    "RequestTimeout": (PASSING, "a request timed out"),
}

_STATUS: dict[int, tuple[str, str]] = {
    401: (STOPS, "it wants credentials"),
    403: (OBJECT, "access is denied"),
    404: (OBJECT, "there is no such object"),
    408: (PASSING, "a request timed out"),
    410: (OBJECT, "there is no such object"),
    412: (OBJECT, "the object has changed since it was listed"),
    416: (OBJECT, "the object has changed since it was listed"),
    425: (PASSING, "it is not ready"),
    429: (PASSING, "it asks for fewer requests"),
}

_NO_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError", "ProfileNotFound"})

_NO_REPOSITORY = frozenset({"RepositoryNotFoundError", "RevisionNotFoundError", "GatedRepoError"})

_PASSING = frozenset(
    {"ClientError", "ClientPayloadError", "ServerDisconnectedError", "ClientConnectorError", "ClientOSError"}
    | {"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError", "HTTPClientError"}
    | {"ResponseStreamingError", "IncompleteReadError", "ServerTimeoutError", "SocketTimeoutError", "ConnectionError"}
    | {"ConnectTimeout", "ReadTimeout", "ConnectError", "ReadError", "RemoteProtocolError", "ChunkedEncodingError"}
    | {"ConnectionTimeoutError", "FSTimeoutError", "IncompleteBodyError"}
)
"""Names of errors in networks that may be gone at the next moment. The libraries need not be there to know them."""

T = TypeVar("T")


@dataclass(frozen=True)
class Judgement:
    """What an error means: one of the words above, and a sentence without names or secrets."""

    about: str
    words: str


class IncompleteBodyError(OSError):
    """Fewer bytes came than were said."""


class RedirectError(OSError):
    """A redirect that is not followed."""

    def __init__(self, words: str) -> None:
        super().__init__(errno.EIO, words)


def judged(error: BaseException) -> Judgement:
    """What an error of a store, or of the network, means. Its own text is never shown: it can hold a signature."""
    refused = error if isinstance(error, RedirectError) else error.__cause__
    if isinstance(refused, RedirectError):
        return Judgement(OBJECT, str(refused.strerror))
    code, status = _code_and_status(error)
    names = {kind.__name__ for kind in type(error).__mro__}
    if code in _CODES:
        return Judgement(*_CODES[code])
    if status in _STATUS:
        return Judgement(*_STATUS[status])
    if status >= 500:
        return Judgement(PASSING, f"it answers with the error {status}")
    if names & _NO_CREDENTIALS:
        return Judgement(STOPS, "there are no credentials for it")
    if names & _NO_REPOSITORY:
        return Judgement(NO_PLACE, "there is no such data set, or it is not open to you")
    if isinstance(error, FileNotFoundError):
        return Judgement(OBJECT, "there is no such object")
    if isinstance(error, PermissionError):
        return Judgement(OBJECT, "access is denied")
    if not status and (names & _PASSING or isinstance(error, TimeoutError | ConnectionError)):
        late = isinstance(error, TimeoutError) or "Timeout" in type(error).__name__
        return Judgement(PASSING, "it does not answer in time" if late else f"{_plain(error)}")
    what = f"{code or status}" if code or status else type(error).__name__
    return Judgement(OBJECT, f"the store answers with {what[:60]}")


def _plain(error: BaseException) -> str:
    if isinstance(error, IncompleteBodyError):
        return "the connection broke off"
    return f"no connection ({type(error).__name__})"


def _code_and_status(error: BaseException) -> tuple[str, int]:
    """The code and the HTTP status that an error of botocore, aiohttp, httpx or gcsfs carries."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        code = str(response.get("Error", {}).get("Code", ""))
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code, status if isinstance(status, int) else 0
    for value in (getattr(error, "status", None), getattr(error, "code", None), getattr(response, "status_code", None)):
        if isinstance(value, int) and 400 <= value < 600:
            return "", value
    cause = error.__cause__
    return _code_and_status(cause) if cause is not None and isinstance(error, OSError) else ("", 0)


def tried(shown: str, call: Callable[[], T]) -> T:
    """What a call to a store gives. It is tried again where the error may pass.

    Parameters
    ----------
    shown
        The store's address, for messages.

    Raises
    ------
    SourceError
        The store does not answer, or takes no credentials: whatever else is asked of it will fail too.
    OSError
        An object cannot be read, and others may.
    """
    for pause in (*PAUSES, None):
        try:
            return call()
        except (AuditorError, MemoryError):
            raise
        except OSError as error:
            if type(error) is OSError and error.errno in (errno.EFBIG, errno.EIO, errno.ENOSPC):
                raise
            found, cause = judged(error), error
        except Exception as error:  # each library has its own kinds
            found, cause = judged(error), error  # type: ignore[assignment]
        if found.about != PASSING:
            raise _lasting(shown, found) from cause
        if pause is None:
            break
        time.sleep(pause)
    raise SourceError(
        f"{shown} cannot be read: {found.words}, {len(PAUSES) + 1} times in a row",
        hint="check the network, and run the same command again: what was fetched is kept",
    ) from cause


def _lasting(shown: str, found: Judgement) -> Exception:
    if found.about == OBJECT:
        return OSError(errno.EIO, found.words)
    hint = "check the address" if found.about == NO_PLACE else "log in with the store's own tools, and check the region"
    return SourceError(f"{shown} cannot be read: {found.words}", hint=hint)
