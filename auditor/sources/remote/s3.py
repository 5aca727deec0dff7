"""S3 and what speaks as S3 does, through s3fs. Credentials, region and endpoint are where AWS's own tools look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from auditor.sources.remote.address import Address
from auditor.sources.remote.store import PART, Entry, FileSystemStore, Sink, missing_package
from auditor.sources.remote.trouble import IncompleteBodyError

_CONFIG = {
    "connect_timeout": 10,
    "read_timeout": 30,
    "max_pool_connections": 64,
    "retries": {"total_max_attempts": 1, "mode": "standard"},
}
"""Seconds, and connections at a time. `trouble.tried` tries again, so the library does not."""


class S3Store(FileSystemStore):
    """A bucket. A public one is read without credentials where there are none.

    Raises
    ------
    SourceError
        s3fs is missing.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        try:
            import s3fs  # noqa: F401  # said now, before any thread asks
        except ImportError as error:
            raise missing_package(address, error) from error

    @property
    def identity(self) -> str:
        """The endpoint and the bucket."""
        client = self._client()
        return f"{client.meta.endpoint_url}/{self._address.place}"

    def listed(self, prefix: str) -> Iterator[Entry]:
        """Every object whose key begins with `prefix`, a page at a time."""
        token = ""
        while True:
            answer = self._call(self._page, prefix, token)
            for found in answer.get("Contents", ()):
                yield Entry(str(found["Key"]), int(found["Size"]), str(found.get("ETag", "")))
            following = str(answer.get("NextContinuationToken") or "")
            if not answer.get("IsTruncated") or not following or following == token:
                return
            token = following

    def send(self, wanted: Entry, sink: Sink) -> None:
        """Give the bytes of an object, if it still is the version that was listed."""
        self._call(self._sent, wanted, sink)

    async def _page(self, client: Any, prefix: str, token: str) -> dict[str, Any]:
        more = {"ContinuationToken": token} if token else {}
        answer: dict[str, Any] = await client.list_objects_v2(Bucket=self._address.place, Prefix=prefix, **more)
        return answer

    async def _sent(self, client: Any, wanted: Entry, sink: Sink) -> None:
        version = {"IfMatch": wanted.version} if wanted.version else {}
        answer = await client.get_object(Bucket=self._address.place, Key=wanted.key, **version)
        size, tag = int(answer.get("ContentLength", -1)), str(answer.get("ETag", ""))
        async with answer["Body"] as body:
            if not sink.begin(Entry(wanted.key, size, tag)):
                return
            got = 0
            while part := await body.read(PART):
                got += len(part)
                sink.take(part)
        if 0 <= size != got:
            raise IncompleteBodyError("fewer bytes came than were said")

    def _call(self, work: Any, *given: Any) -> Any:
        """The value of a coroutine that is given the client. It runs in the library's own thread."""
        from fsspec.asyn import sync

        async def run() -> Any:
            return await work(await self._opened().set_session(), *given)

        try:
            return sync(self._opened().loop, run)
        except Exception as error:
            if type(error).__name__ != "NoCredentialsError" or self._opened().anon:
                raise
            self._opened(anonymous=True)
            return sync(self._opened().loop, run)

    def _client(self) -> Any:
        async def same(client: Any) -> Any:
            return client

        return self._call(same)

    def _opened(self, *, anonymous: bool = False) -> Any:
        with self._lock:
            if self._system is None or (anonymous and not self._system.anon):
                from s3fs import S3FileSystem

                self._system = S3FileSystem(
                    anon=anonymous, config_kwargs=dict(_CONFIG), skip_instance_cache=True, use_listings_cache=False
                )
            return self._system
