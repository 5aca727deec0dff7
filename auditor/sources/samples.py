"""Two small real data sets that are on every machine: a table of scikit-learn's, and the help texts of scipy."""

from __future__ import annotations

import ast
import importlib.util
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from auditor.errors import SourceError
from auditor.sources.base import ImageTable
from auditor.sources.items import Items, items_table

SHORTEST, LONGEST = 80, 1500
"""Characters of a help text that is taken, and that are taken of it."""

SMALLEST_PART = 60
"""Help texts that a part of scipy needs to be a class."""


class BreastCancerSource:
    """SOURCE `breast-cancer`: 569 rows of 30 measures of cell nuclei, malignant or benign, without a split.

    This is "Breast Cancer Wisconsin (Diagnostic)" of UCI, as `sklearn.datasets.load_breast_cancer` returns it.
    """

    name = "breast-cancer"
    looks_for = "the word 'breast-cancer' for a table that scikit-learn ships"

    def accepts(self, spec: str) -> bool:
        """Whether SOURCE is the word."""
        return spec == self.name

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        """Make a row of text of each row of numbers."""
        from sklearn.datasets import load_breast_cancer

        bunch = load_breast_cancer()
        cells = {
            str(name): [repr(float(value)) for value in bunch.data[:, column]]
            for column, name in enumerate(bunch.feature_names)
        }
        labels = [str(bunch.target_names[target]) for target in bunch.target]
        names = [f"row-{number:06d}" for number in range(1, len(labels) + 1)]
        return items_table(Items("breast cancer", self.name, names, labels, [""] * len(labels), cells=cells))


class DocstringsSource:
    """SOURCE `docstrings`: the help texts of scipy's public functions and classes, by the part they belong to.

    They are read from the installed scipy's files, and none of it is run. So they are those of its version.
    """

    name = "docstrings"
    looks_for = "the word 'docstrings' for the help texts of the installed scipy"

    def accepts(self, spec: str) -> bool:
        """Whether SOURCE is the word."""
        return spec == self.name

    def open(self, spec: str, *, allow_outside: bool = False) -> ImageTable:
        """Collect the texts. What stands there twice is taken once, and parts with few texts are left out.

        Raises
        ------
        SourceError
            scipy's files cannot be read.
        """
        found = importlib.util.find_spec("scipy")
        texts: dict[str, tuple[str, str]] = {}
        for name, part, text in _docstrings(Path(str(found.origin)).parent) if found and found.origin else ():
            texts.setdefault(text, (name, part))
        sizes = Counter(part for _, part in texts.values())
        rows = sorted((name, part, text) for text, (name, part) in texts.items() if sizes[part] >= SMALLEST_PART)
        if not rows:
            raise SourceError("the help texts of scipy are not on this machine", hint="audit a manifest of texts")
        names, labels, kept = (list(column) for column in zip(*rows, strict=True))
        return items_table(Items("help texts of scipy", self.name, names, labels, [""] * len(names), texts=kept))


def _docstrings(root: Path) -> Iterator[tuple[str, str, str]]:
    """Name, part and text of each public function and class below scipy's folder, in order."""
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        if len(parts) < 2 or any(part.startswith("_lib") or part == "tests" for part in parts):
            continue
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, SyntaxError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                text = (ast.get_docstring(node) or "").split("\n\nParameters\n")[0].strip()
                if len(text) >= SHORTEST:
                    yield f"{'.'.join(parts)}.{node.name}-{node.lineno}".replace(os.sep, "."), parts[0], text[:LONGEST]
