"""`docs/robustness.md` names tests that exist, one in every row, and its numbers are those of the tests' own data."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import hostile
from helpers import PROJECT

TESTS = PROJECT / "tests"
PAGE = (PROJECT / "docs" / "robustness.md").read_text(encoding="utf-8")


def _functions(file: Path) -> set[str]:
    return {n.name for n in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(n, ast.FunctionDef)}


def _tables() -> list[tuple[str, list[list[str]]]]:
    """The tables with a column of tests: the heading of that column, and the rows' cells."""
    tables: list[tuple[str, list[list[str]]]] = []
    for block in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in block.splitlines()]
        if rows[0][-1].strip(" |").startswith("test"):
            tables.append((rows[0][-1], rows[2:]))
    return tables


def test_every_test_named_on_the_page_exists() -> None:
    named = 0
    for heading, rows in _tables():
        file = next(iter(re.findall(r"`([\w/]+\.py)`", heading)), "")
        for row in rows:
            for word in re.findall(r"`([\w/.]*(?:test_|\.py)[\w/.:]*|::\w+)`", row[-1]):
                name, _, test = word.partition("::")
                if name.endswith(".py"):  # a file, for this row and the next
                    file = name
                    assert (TESTS / file).is_file(), f"{file}, in the row of {row[0]}"
                    assert not test or test in _functions(TESTS / file), f"{word}, in the row of {row[0]}"
                else:
                    assert (test or name) in _functions(TESTS / file), f"{word} in {file}, in the row of {row[0]}"
                named += 1
    assert named > 60


def test_every_row_names_a_test() -> None:
    for heading, rows in _tables():
        assert rows
        for row in rows:
            named = re.search(r"`[\w/.]*(::)?test_\w+|`test_\w+\.py`|fuzz\.py", row[-1])
            assert named or row[-1].strip(" |") == "the same" or "`test_" in heading, row


def test_the_numbers_at_its_top_are_those_of_the_tests(tmp_path: Path) -> None:
    def stated(words: str) -> int:
        found = re.search(rf"^\| {words}[^|]*\| (\d+)", PAGE, re.MULTILINE)
        assert found is not None, words
        return int(found[1])

    made = hostile.hostile_folder(tmp_path / "data")
    usual = sum("/good" in path for path in made.listed)
    entries = len(made.listed) - usual + len(made.skipped) + len(made.ignored)
    assert stated("kinds of unusual or broken image file") == sum(
        len(files) for files in (hostile.readable_images(), hostile.unreadable_images())
    )
    assert stated("hostile names and directory entries") == entries
    assert stated("audits killed at random moments") >= 50
