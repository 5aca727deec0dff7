"""Files on the web, through the session of fsspec's own file system for it.

A redirect is followed where it is no way round a guard: never from https to anything else, and never to a more private
network than that of the host that the user named. A page on the web could otherwise make this machine ask its own
network, or the cloud's service that hands out credentials.
"""

from __future__ import annotations

import asyncio
import contextvars
import ipaddress
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from auditor.errors import SourceError
from auditor.sources.remote.address import Address
from auditor.sources.remote.store import PART, Entry, FileSystemStore, Sink, missing_package
from auditor.sources.remote.trouble import IncompleteBodyError, RedirectError

MOST_REDIRECTS = 5

_MOVED = frozenset({301, 302, 303, 307, 308})

PUBLIC, PRIVATE, OWN, LINK = range(4)
"""How near an address is: on the internet, on a network of its own, on this machine, or on its link alone.

On the link lies the service of a cloud that hands out credentials. No redirect leads there.
"""

_nearest: contextvars.ContextVar[int] = contextvars.ContextVar("nearest", default=LINK)
"""The nearest network that the request of this task may reach."""


def nearness(host: str) -> int:
    """How near a numeric address is. What is no number is public until it is resolved."""
    try:
        number = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return OWN if host.lower() == "localhost" else PUBLIC
    number = getattr(number, "ipv4_mapped", None) or number
    if number.is_link_local:
        return LINK
    if number.is_loopback or number.is_unspecified:
        return OWN
    return PUBLIC if number.is_global else PRIVATE


def next_address(url: str, location: str, *, nearest: int) -> str:
    """The address that a redirect leads to.

    Raises
    ------
    RedirectError
        It must not be followed.
    """
    target = urljoin(url, location)
    new, old = urlsplit(target), urlsplit(url)
    if new.scheme != "https" and not (old.scheme == new.scheme == "http" and nearness(new.hostname or "") == OWN):
        raise RedirectError("it leads on to an address that is not https, which is not followed")
    if not new.hostname or nearness(new.hostname) > nearest:
        raise RedirectError("it leads on into a private network, which is not followed")
    return target


class WebStore(FileSystemStore):
    """A host on the web. It lists nothing; files are named by their whole path.

    Raises
    ------
    SourceError
        aiohttp is missing.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        try:
            import aiohttp  # noqa: F401  # said now, before any thread asks
            from fsspec.implementations.http import HTTPFileSystem  # noqa: F401
        except ImportError as error:
            raise missing_package(address, error) from error

    @property
    def identity(self) -> str:
        """The scheme and the host."""
        return f"{self._address.scheme}://{self._address.place}"

    def listed(self, prefix: str) -> Iterator[Entry]:
        """Nothing can be listed on the web."""
        raise SourceError(
            f"{self._address.shown} names no file that can be audited, and the web has no folders to list",
            hint="name an archive, a manifest, a Parquet or an npz file there",
        )

    def send(self, wanted: Entry, sink: Sink) -> None:
        """Give the bytes of a file."""
        from fsspec.asyn import sync

        sync(self._opened().loop, self._sent, wanted, sink)

    async def _sent(self, wanted: Entry, sink: Sink) -> None:
        url, query = f"{self.identity}/{wanted.key}", self._address.secret[1]
        if wanted.key == self._address.key and query:
            url += f"?{query}"
        session, own, nearest = await self._client(), True, LINK
        allowed = min(OWN, await _nearness_of(urlsplit(url)))
        for _ in range(MOST_REDIRECTS + 1):
            token = _nearest.set(nearest)
            try:
                answer = await session.get(_encoded(url), headers=self._headers(own), allow_redirects=False)
            finally:
                _nearest.reset(token)
            async with answer:
                if answer.status not in _MOVED:
                    return await _taken(answer, wanted, sink)
                nearest = allowed
                target = next_address(url, answer.headers.get("Location", ""), nearest=nearest)
            own = own and urlsplit(target).netloc == urlsplit(url).netloc
            url = target
        raise RedirectError(f"it leads on more than {MOST_REDIRECTS} times")

    def _headers(self, own: bool) -> dict[str, str]:
        """The headers of a request. A password goes to the host that the user named, and to no other."""
        headers, (user, _) = {"Accept-Encoding": "identity"}, self._address.secret
        if user and own:
            import base64
            from urllib.parse import unquote

            headers["Authorization"] = "Basic " + base64.b64encode(unquote(user).encode()).decode("ascii")
        return headers

    def _opened(self) -> Any:
        with self._lock:
            if self._system is None:
                from fsspec.implementations.http import HTTPFileSystem

                self._system = HTTPFileSystem(get_client=_session, skip_instance_cache=True, use_listings_cache=False)
            return self._system

    async def _client(self) -> Any:
        return await self._opened().set_session()


async def _session(**given: Any) -> Any:
    """A session that resolves names itself, keeps no cookies and unpacks nothing."""
    import aiohttp

    class Resolver(aiohttp.ThreadedResolver):  # type: ignore[misc]
        """Gives only addresses that the request may reach."""

        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
            found = await super().resolve(host, port, family)
            good = [one for one in found if nearness(one["host"]) <= _nearest.get()]
            if not good:
                raise RedirectError("it leads on into a private network, which is not followed")
            return good

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=Resolver(), use_dns_cache=False, limit=64),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30),
        auto_decompress=False,
        trust_env=True,
    )


def _encoded(url: str) -> Any:
    """The address as it was written, so that a signature in it stays right."""
    from yarl import URL

    return URL(quote(url, safe="/:?#[]@!$&'()*+,;=%-._~"), encoded=True)


async def _nearness_of(named: SplitResult) -> int:
    """How near the host is that the user named."""
    host = named.hostname or ""
    if nearness(host) != PUBLIC:
        return nearness(host)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, named.port or 443)
    except OSError:  # a proxy may know the name
        return PUBLIC
    return max((nearness(str(one[4][0])) for one in found), default=PUBLIC)


async def _taken(answer: Any, wanted: Entry, sink: Sink) -> None:
    """Hand the body of an answer to a sink."""
    answer.raise_for_status()
    headers = answer.headers
    size = int(headers["Content-Length"]) if headers.get("Content-Length", "").isdigit() else -1
    tag = headers.get("ETag") or headers.get("Last-Modified") or ""
    if not sink.begin(Entry(wanted.key, size, tag)):
        answer.close()
        return
    got = 0
    async for part in answer.content.iter_chunked(PART):
        got += len(part)
        sink.take(part)
    if 0 <= size != got:
        raise IncompleteBodyError("fewer bytes came than were said")
