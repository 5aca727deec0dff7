"""Small things that many tests need."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[1]
FIXTURES = PROJECT / "fixtures"


def small_audit(source: str | Path, out: str | Path, *more: str) -> list[str]:
    """The words of a command that audits a small data set in a few seconds."""
    fixed = ["--weights", "none", "--train", "head", "--repeats", "1", "--epochs", "20"]
    shown = ["--examples", "1", "--thumbnails", "20", "--quiet"]
    return ["audit", str(source), "-o", str(out), *fixed, *shown, *more]


def names(folder: Path) -> list[str]:
    """What lies in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
