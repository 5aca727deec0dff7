"""The example that puts a cleaned data set onto the Hub, as far as it runs without one."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers import PROJECT, few_images

from auditor.sources import open_source

SCRIPT = PROJECT / "integrations" / "huggingface" / "push.py"


def test_a_cleaned_folder_goes_onto_the_hub_and_opens_as_a_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [path.relative_to(tmp_path).as_posix() for path in sorted(few_images(tmp_path).glob("*/*.png"))]
    rows = "".join(f"{name},{'8' if n == 0 else name[0]},train\n" for n, name in enumerate(names))
    (tmp_path / "cleaned.csv").write_text(f"path,label,split\n{rows}")
    asked: list[tuple[str, dict[str, Any]]] = []

    class HfApi:
        def create_repo(self, name: str, **given: Any) -> None:
            asked.append((name, given))

        def upload_folder(self, **given: Any) -> str:
            asked.append((given["repo_id"], given))
            return "done"

    hub = ModuleType("huggingface_hub")
    hub.HfApi = HfApi  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    main = runpy.run_path(str(SCRIPT))["main"]
    main([str(tmp_path), "me/cells", "--dry-run"])
    assert not asked
    main([str(tmp_path), "me/cells"])
    assert [name for name, _ in asked] == ["me/cells", "me/cells"] and asked[0][1]["private"]
    assert "auditor-*.json" in asked[1][1]["ignore_patterns"]
    table = open_source(str(tmp_path))
    assert dict(zip(table.frame["path"], table.frame["label"], strict=True))[names[0]] == "8"
    (tmp_path / names[0]).unlink()
    with pytest.raises(SystemExit, match="lacks 1 images"):
        main([str(tmp_path), "me/cells"])
