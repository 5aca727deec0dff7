"""Looks for files that a manifest names and the disk does not have under this very name.

A name in another Unicode form, with blanks around it, or with backslashes between its folders is surely the same file.
Other case and a missing ending are worth a hint only.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from auditor.sources.root import Root
from auditor.sources.spelling import same
from auditor.sources.tree import has_image_suffix, join

_Key = Callable[[str], str]


def _caseless(name: str) -> str:
    return same(name).casefold()


def _without_ending(name: str) -> str:
    return _caseless(os.path.splitext(name)[0]) if has_image_suffix(name) else _caseless(name)


class Finder:
    """Remembers what each folder holds, so that many missing files cost one listing a folder."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._names: dict[tuple[str, _Key], dict[str, list[str]]] = {}

    def spelled(self, path: str) -> str | None:
        """The file that is surely meant, as the disk spells it. None if there is none, or more than one."""
        return self._along(path, same) or (self._along(path.replace("\\", "/"), same) if "\\" in path else None)

    def advice(self, path: str) -> str:
        """What may be meant by a path without a file, as a hint. Empty where nothing is near."""
        slashes = path.replace("\\", "/")
        if found := self._along(slashes, _caseless):
            return f"'{found}' exists: write the names in the same upper and lower case"
        if found := self._along(slashes, _without_ending):
            return f"'{found}' exists: write each name with its ending"
        return ""

    def _along(self, path: str, key: _Key) -> str | None:
        """Follow a path from the root, part by part, through the names with the same key."""
        here = ""
        if path.startswith("/"):
            return None
        for part in path.strip().split("/"):
            if part in ("", ".", ".."):
                return None
            names = self._listed(here, key).get(key(part), [])
            if part in names:
                names = [part]
            if len(names) != 1:
                return None
            here = join(here, names[0])
        return here

    def _listed(self, folder: str, key: _Key) -> dict[str, list[str]]:
        if (folder, key) not in self._names:
            names: dict[str, list[str]] = {}
            try:
                found = sorted(os.listdir(self._root.absolute(folder))) if self._root.contains(folder) else []
            except OSError:
                found = []
            for name in found:
                names.setdefault(key(name), []).append(name)
            self._names[folder, key] = names
        return self._names[folder, key]
