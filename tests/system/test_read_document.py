"""One reader for JSON with a kind and a schema version: it says what is wrong and what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auditor.errors import DecisionsError, ResultError
from auditor.system.documents import read_document


def _read(path: Path, hint: str = "") -> dict[str, object]:
    return read_document(path, kind="auditor-x", version=2, error=DecisionsError, what="baseline", hint=hint)


def test_a_good_document_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"kind": "auditor-x", "schema_version": 2, "entries": []}')
    assert _read(path) == {"kind": "auditor-x", "schema_version": 2, "entries": []}
    assert read_document(path, kind=None, version=None, error=ResultError, what="audit file")["entries"] == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read, because it is not valid JSON"),
        (b"<<<<<<< HEAD", "cannot be read, because it is not valid JSON"),
        (b"[" * 100_000, "cannot be read, because it is not valid JSON"),
        (b'"\xff"', "cannot be read, because it is not valid JSON"),
        (b"[]", "is not a baseline"),
        (b'{"kind": "other", "schema_version": 2}', "is not a baseline"),
        (b'{"kind": "auditor-x"}', "schema version None, but this auditor reads version 2"),
        (b'{"kind": "auditor-x", "schema_version": 3}', "schema version 3, but this auditor reads version 2"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_with_a_hint(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DecisionsError) as caught:
        _read(path)
    assert said in caught.value.message and str(path) in caught.value.message and caught.value.hint
    assert "\n" not in caught.value.message
    with pytest.raises(DecisionsError) as caught:
        _read(path, "write it again")
    assert caught.value.hint == "write it again"


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, said in (("pipe", "a named pipe, not a file"), ("none", "No such file"), ("", "a folder, not a file")):
        with pytest.raises(DecisionsError, match=f"cannot read the baseline .*{said}"):
            _read(tmp_path / name)
