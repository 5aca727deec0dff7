"""Reading one regular file: whole, bounded, and with no more memory than it needs."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from auditor.system import files
from auditor.system.files import read_regular


def test_a_limit_beyond_all_memory_asks_for_no_more_than_the_file_holds(tmp_path: Path) -> None:
    """A kept stage may have 16 GiB. On a machine with less memory every kept stage was once an error."""
    (tmp_path / "a").write_bytes(b"few bytes")
    assert read_regular(str(tmp_path / "a"), limit=1 << 50) == b"few bytes"


def test_the_limit_itself_is_read_and_a_byte_more_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(10))
    assert read_regular(str(tmp_path / "a"), limit=10) == bytes(10)
    with pytest.raises(OSError, match="larger than 9 bytes"):
        read_regular(str(tmp_path / "a"), limit=9)


@pytest.mark.parametrize("more", [1, 5, 90, 5_000])
def test_a_file_that_grows_while_it_is_read_is_whole_or_refused(
    more: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 10)
    real = os.fstat

    def grows(handle: int) -> os.stat_result:
        found = real(handle)
        if found.st_size == 10:
            with path.open("ab") as file:
                file.write(b"y" * more)
        return found

    monkeypatch.setattr(files, "_PART", 7)
    monkeypatch.setattr(os, "fstat", grows)
    if more <= 90:
        assert read_regular(str(path), limit=100) == b"x" * 10 + b"y" * more
        return
    with pytest.raises(OSError, match="grew beyond 100 bytes"):
        read_regular(str(path), limit=100)


def test_no_more_than_a_byte_beyond_the_limit_is_asked_for() -> None:
    class Endless(io.RawIOBase):
        asked = 0

        def read(self, n: int = -1) -> Any:
            self.asked += n
            return bytes(n)

    file = Endless()
    assert len(files._read(file, 10, 100)) == 101 and file.asked == 101
