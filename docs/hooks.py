"""What mkdocs does beside its own work: pages from outside `docs/`, and a look at what the built pages load.

README, CONTRIBUTING and others lie where people look for them in the repository. Here they become pages of the site,
and links between all pages are turned accordingly.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "integrations/README.md": "integrations.md",
    "benchmarks/README.md": "benchmarks.md",
    "LICENSE": "LICENSE.txt",
}
"""Files outside `docs/`, and what they become on the site."""

_LINK = re.compile(r"(\]\()([^)\s#]+)")
_LOADED = re.compile(r"<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*?\b(?:src|data)=[\"']?([^\"'\s>]+)")
_LINKED = re.compile(r"<link\b[^>]*?\bhref=[\"']?([^\"'\s>]+)[^>]*>")
_STYLED = re.compile(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside, and the benchmarks' CSV files that they link to."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.csv")):
        files.append(File.generated(config, f"results/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links between files of the repository into links between pages."""
    name = page.file.src_uri
    here = {there: source for source, there in PAGES.items()}.get(name, f"docs/{name}")
    return _LINK.sub(lambda found: found[1] + _target(found[2], here, name), markdown)


def _target(link: str, here: str, page: str) -> str:
    """`link` in the repository's file `here`, as the page `page` of the site must say it."""
    if urlsplit(link).scheme:
        return link
    file = _normal(PurePosixPath(here).parent / link)
    file = f"{file}/README.md" if (ROOT / file).is_dir() else file
    there = PAGES.get(file) or file.removeprefix("docs/").removeprefix("benchmarks/")
    up = len(PurePosixPath(page).parts) - 1
    return "../" * up + there


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def on_post_build(config: Any) -> None:
    """Stop the build if a page loads anything from the network."""
    found = []
    for path in sorted(Path(config["site_dir"]).rglob("*")):
        if path.suffix == ".html":
            text = path.read_text(encoding="utf-8")
            links = [m[1] for m in _LINKED.finditer(text) if 'rel="canonical"' not in m[0]]
            loaded = [*_LOADED.findall(text), *links, *_STYLED.findall(text)]
        elif path.suffix == ".css":
            loaded = _STYLED.findall(path.read_text(encoding="utf-8"))
        else:
            continue
        found += [f"{path.name}: {url}" for url in loaded if urlsplit(url).netloc]
    if found:
        raise PluginError("pages load from the network:\n  " + "\n  ".join(found))
