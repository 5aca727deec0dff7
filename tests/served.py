"""An audit with real pictures behind it, and the real command that serves it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from builders import make_result
from PIL import Image

from auditor.result import AuditResult


def audit_with_pictures(
    folder: Path, n: int = 12, edge: int = 700, with_files: int | None = None, **arguments: Any
) -> tuple[AuditResult, Path]:
    """The result of an audit of `n` pictures that lie in `folder/data`, saved in `folder/out`.

    With `with_files` only so many of them lie there, the first of the ranking.
    """
    result = make_result(n=n, **arguments)
    hashes = dict(result.summary["dataset"]["hashes"])
    for number, path in enumerate(result.ranking["path"][:with_files]):
        file = folder / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (edge, edge + 100, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
        hashes[path] = hashlib.sha256(file.read_bytes()).hexdigest()
    data = {**result.summary["dataset"], "source": str(folder / "data"), "hashes": hashes}
    result = dataclasses.replace(result, summary={**result.summary, "dataset": data})
    out = folder / "out"
    out.mkdir(exist_ok=True)
    result.save(out)
    return result, out


@dataclass
class Answer:
    """What came back: the status, the headers, and the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    """A running server: its process, its address with the token, and the file that gets what it prints."""

    process: subprocess.Popen[bytes]
    address: str
    printed: Path

    @property
    def root(self) -> str:
        """The address without the token."""
        return self.address[: self.address[:-1].rindex("/") + 1]

    @property
    def said(self) -> str:
        return self.printed.read_text(encoding="utf-8")

    def ask(self, path: str = "", body: object = None, *, address: str = "", **headers: str) -> Answer:
        """Send one request. A body is sent as JSON, unless it is bytes. `_` in a header's name stands for `-`."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            named.setdefault("Content-Type", "application/json")
        request = urllib.request.Request((address or self.address) + path, data=data, headers=named)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return Answer(reply.status, dict(reply.headers), reply.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, dict(error.headers), error.read())

    def stop(self) -> int:
        """Press Ctrl-C and wait."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)


@contextlib.contextmanager
def serving(out: Path, *more: str) -> Iterator[Served]:
    """`auditor review serve OUT` in a process of its own, until the block ends."""
    command = [sys.executable, "-m", "auditor", "review", "serve", str(out), *more]
    printed = out.parent / "printed.txt"
    with printed.open("wb") as file:
        process = subprocess.Popen(command, cwd=out.parent, stdout=subprocess.PIPE, stderr=file)
        address = process.stdout.readline().decode().strip()
        copying = threading.Thread(target=lambda: file.write(process.stdout.read()))
        copying.start()
        try:
            assert address.startswith("http://127.0.0.1:"), address + printed.read_text()
            yield Served(process, address, printed)
        finally:
            process.kill()
            process.wait()
            copying.join()
