"""Coverage-guided fuzzing of what reads hostile bytes: `python tests/fuzz.py manifest|images SECONDS` (`make fuzz`).

Needs atheris (extra `fuzz`). Whatever is not a table, an image or an `AuditorError` is a finding: atheris then stops
and leaves the input in the working folder as `crash-...`. The last lines say how many inputs were run.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

with atheris.instrument_imports(include=["auditor", "csv", "json", "PIL"]):
    from hostile import png, readable_images, unreadable_images

    from auditor.data.images import decode, is_greyscale, peek_size, resize_rgb, thumbnail
    from auditor.errors import AuditorError
    from auditor.sources import open_source

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


def manifest(data: bytes) -> None:
    """The first byte chooses the kind of manifest, the rest is the file."""
    if not data:
        return
    file = WORK / f"labels{SUFFIXES[data[0] % len(SUFFIXES)]}"
    file.write_bytes(data[1:])
    try:
        table = open_source(str(file))
    except AuditorError as error:
        str(error).encode("utf-8")
        return
    finally:
        file.unlink()
    paths = list(table.frame["path"])
    assert paths == sorted(set(paths))
    assert set(paths) <= {"a.png", "b.png", "labels" + file.suffix}
    assert set(table.frame["split"]) <= {"", "train", "val", "test"}
    for text in (*table.frame["label"], *(entry.path + entry.reason for entry in table.skipped)):
        assert text.strip()
        text.encode("utf-8")


def images(data: bytes) -> None:
    """Decoding, and everything that is made from a decoded image."""
    try:
        image = decode(data, max_pixels=250_000)
    except AuditorError as error:
        assert str(error).isprintable()
        return
    assert image.mode == "RGB" and image.size == decode(data, max_pixels=250_000).size
    assert resize_rgb(image, 8).shape == (8, 8, 3)
    is_greyscale(image)
    assert min(peek_size(data, max_pixels=250_000)) > 0
    assert len(thumbnail(data, 32, 250_000)) > 0


def seeds(target: str) -> Iterable[bytes]:
    """Valid inputs to start from."""
    if target == "images":
        yield from readable_images().values()
        yield from unreadable_images().values()
        return
    yield b"\0path,label,split\na.png,cat,train\nb.png,dog,test\n"
    yield b'\0\xef\xbb\xbf"path";"label"\r\n"a.png";"c;""at"\r\n'
    yield b"\0" + "path,label\na.png,caf\xe9\n".encode("utf-16")
    yield b"\1path\tlabel\na.png\tcat\n"
    yield b'\2{"path": "a.png", "label": 3, "split": null}\n\n{"path": "./b.png", "label": "\\ud83d\\ude00"}\n'
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return
    out = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.table({"path": ["a.png", "b.png"], "label": ["x", "y"]}), out)
    yield b"\3" + out.getvalue().to_pybytes()


TARGETS: dict[str, Callable[[bytes], None]] = {"manifest": manifest, "images": images}

if __name__ == "__main__":
    target, seconds = sys.argv[1], sys.argv[2]
    WORK = Path(tempfile.mkdtemp(prefix="fuzz-"))
    for name in ("a.png", "b.png"):
        (WORK / name).write_bytes(png())
    corpus = Path(tempfile.mkdtemp(prefix="corpus-"))
    for number, seed in enumerate(seeds(target)):
        (corpus / str(number)).write_bytes(seed)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    limits = [f"-max_total_time={seconds}", "-max_len=20000", "-timeout=20", "-rss_limit_mb=3000"]
    atheris.Setup([sys.argv[0], *limits, "-print_final_stats=1", str(corpus)], TARGETS[target])
    atheris.Fuzz()
