"""Addresses of data sets: what they name, and how they are shown without what is secret in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from auditor.errors import SourceError
from auditor.system.text import display

S3, GOOGLE, AZURE, HUB, WEB = "s3", "gs", "az", "hf", "https"

_SCHEMES = {
    "s3": S3,
    "s3a": S3,
    "gs": GOOGLE,
    "gcs": GOOGLE,
    "az": AZURE,
    "abfs": AZURE,
    "abfss": AZURE,
    "hf": HUB,
    "https": WEB,
    "http": WEB,
}
"""What stands before `://`, and the kind of store that it means."""

_ADDRESS = re.compile(rf"({'|'.join(_SCHEMES)})://", re.IGNORECASE)

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Hosts that may be read without encryption."""

KNOWN = "s3://, gs://, az://, hf://datasets/ and https://"
"""The addresses that are read, for messages."""


@dataclass(frozen=True)
class Address:
    """Where objects lie.

    Attributes
    ----------
    kind
        The kind of store: `S3`, `GOOGLE`, `AZURE`, `HUB` or `WEB`.
    place
        The bucket, the container, the data set of the Hub, or the host with its port.
    key
        What follows, without a slash at its beginning. Empty for all of a place.
    scheme
        What stands before `://`, in lower case.
    secret
        Of an address on the web, what stands before an `@` and behind a `?`. It is never shown or kept.
    """

    kind: str
    place: str
    key: str
    scheme: str
    secret: tuple[str, str] = field(default=("", ""), repr=False)

    @property
    def shown(self) -> str:
        """The address without what is secret."""
        return f"{self.scheme}://{self.place}/{self.key}".rstrip("/")

    @property
    def name(self) -> str:
        """The last part of the key, or the place."""
        name = self.key.rstrip("/").rpartition("/")[2] or self.place.rpartition("/")[2]
        return unquote(name) if self.kind == WEB else name

    @property
    def above(self) -> str:
        """The address of the folder that it lies in, without what is secret."""
        folder = self.key.rstrip("/").rpartition("/")[0]
        return f"{self.scheme}://{self.place}/{folder}".rstrip("/")


def is_address(text: str) -> bool:
    """Whether a text begins as an address of a known kind."""
    return _ADDRESS.match(text) is not None


def without_secrets(text: str) -> str:
    """An address without a user's name, a password, or a signature. Every other text as it is."""
    if not is_address(text):
        return text
    scheme, rest = text.split("://", 1)
    host, slash, path = rest.partition("/")
    if _SCHEMES[scheme.lower()] != AZURE or ":" in host.rpartition("@")[0]:
        host = host.rpartition("@")[2]
    if _SCHEMES[scheme.lower()] == WEB:
        host, path = re.split(r"[?#]", host)[0], re.split(r"[?#]", path)[0]
    return f"{scheme}://{host}{slash}{path}"


def parsed(text: str) -> Address:
    """The address that a text names.

    Raises
    ------
    SourceError
        It names no place, holds a password where none is needed, or is one of the web without encryption. The message
        shows nothing that is secret.
    """
    scheme, rest = text.split("://", 1)
    kind, shown = _SCHEMES[scheme.lower()], display(without_secrets(text))
    if "\\" in rest or any(ord(letter) < 32 or ord(letter) == 127 for letter in rest):
        raise SourceError(f"{shown} holds a backslash or a control character", hint="copy the address again")
    host, _, path = rest.partition("/")
    user, _, server = host.rpartition("@")
    if kind == WEB:
        return _web(scheme.lower(), user, server, path, shown)
    if ":" in user:
        raise SourceError(
            f"{shown} was written with a key or a password",
            hint="an address stays in the shell's history: say it as the store's own tools want it, such as by "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    if kind == HUB:
        parts = path.split("/")
        if host != "datasets" or len(parts) < 2 or not all(parts[:2]):
            raise SourceError(f"{shown} names no data set", hint="write it as hf://datasets/OWNER/NAME/FILE")
        return Address(kind, "/".join(["datasets", *parts[:2]]), "/".join(parts[2:]), scheme.lower())
    if not host:
        raise SourceError(f"{shown} names no bucket", hint=f"write it as {scheme.lower()}://BUCKET/PREFIX")
    return Address(kind, host, path, scheme.lower())


def _web(scheme: str, user: str, server: str, path: str, shown: str) -> Address:
    server, mark, more = _cut(server)
    path, query_mark, query = (path, mark, more) if mark else _cut(path)
    if not server:
        raise SourceError(f"{shown} names no host", hint="write it as https://HOST/FILE")
    host = re.sub(r":\d+$", "", server).lower()
    if scheme == "http" and host not in _THIS_MACHINE:
        raise SourceError(
            f"{shown} is read without encryption, so anybody on the way could change labels",
            hint="give its https:// address, or fetch the file and give that",
        )
    return Address(WEB, server, path, scheme, (user, query if query_mark == "?" else ""))


def _cut(text: str) -> tuple[str, str, str]:
    """What stands before a `?` or `#`, that sign, and what stands behind it up to a `#`."""
    found = re.search(r"[?#]", text)
    if found is None:
        return text, "", ""
    return text[: found.start()], found[0], text[found.end() :].partition("#")[0]
