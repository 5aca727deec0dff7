"""A real S3 server on this machine's own address, and a small web server that can misbehave."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

BUCKET = "audited"


@contextlib.contextmanager
def s3_server(patch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of a moto server with an empty bucket. The environment leads every S3 library there."""
    server_module = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'auditor[test]'")
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'auditor[cloud]'")
    import boto3

    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    said = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}
    for name, value in {**said, "AWS_DEFAULT_REGION": "us-east-1", "NO_PROXY": "127.0.0.1"}.items():
        patch.setenv(name, value)
    try:
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client
    finally:
        server.stop()


def put(client: Any, files: Mapping[str, bytes], above: str = "") -> None:
    """Put files into the bucket."""
    for name, data in files.items():
        client.put_object(Bucket=BUCKET, Key=above + name, Body=data)


@contextlib.contextmanager
def web_server(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """The address of a server that answers each GET as it is told."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):
                answer(self)

        def log_message(self, *words: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def reply(handler: http.server.BaseHTTPRequestHandler, data: bytes, status: int = 200, **headers: str) -> None:
    """Answer with these bytes."""
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(data)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)
