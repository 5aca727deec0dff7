"""Whole audits of boxes: the same ranking from every form, and a round that closes in the form it began in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from detections import NAMES, coco, crops_as_files, save, scene, voc_xml, yolo_line
from helpers import small_audit, use_figures_once, use_hasty_detection, use_tiny_network
from test_boxes import naive_families

from auditor.result import AuditResult
from auditor.sources import open_source

if TYPE_CHECKING:
    from click.testing import Result


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The same boxes as COCO, YOLO and VOC have them, and as files that Pillow cut out; each as words of a command."""
    folder = tmp_path_factory.mktemp("forms")
    pictures, pasted = scene(16, 3)
    by_picture = {name: [one for one in pasted if one.picture == name] for name in pictures}
    save(folder / "images", pictures)
    (folder / "instances.json").write_text(json.dumps(coco(pasted, pictures)))
    save(folder / "yolo" / "images", pictures)
    (folder / "yolo" / "labels").mkdir()
    (folder / "yolo" / "classes.txt").write_text("\n".join(NAMES))
    save(folder / "voc" / "JPEGImages", pictures)
    (folder / "voc" / "Annotations").mkdir()
    for name, picture in pictures.items():
        lines = [yolo_line(one, picture) for one in by_picture[name]]
        (folder / "yolo" / "labels" / f"{name[:-4]}.txt").write_text("\n".join(lines))
        (folder / "voc" / "Annotations" / f"{name[:-4]}.xml").write_text(voc_xml(name, picture, by_picture[name]))
    names = [f"{one.picture}#{n % 3}" for n, one in enumerate(pasted)]
    files = crops_as_files(folder / "crops", names, pictures, pasted)
    table = pd.read_csv(files, dtype=str)
    for name, ones in by_picture.items():
        sides = [(x, y, x + wide, y + high) for x, y, wide, high in (one.box for one in ones)]
        for number, family in enumerate(naive_families(sides)):
            table.loc[table["path"].isin([f"{name}#{place}" for place in family]), "group"] = f"{name} {number}"
    table.to_csv(files, index=False)
    return {
        "files": [str(files), "--columns", "group=group"],
        "coco": [f"{folder}/instances.json::margin=0"],
        "yolo": [f"{folder}/yolo::margin=0"],
        "voc": [f"{folder}/voc::margin=0"],
    }


def ranked(out: Path) -> str:
    """A ranking with each path as its place among all paths in order."""
    table = pd.read_csv(out / "ranking.csv", dtype=str, keep_default_na=False)
    return str(table.assign(path=table["path"].rank(method="dense").astype(int)).to_csv(index=False))


def test_boxes_rank_as_the_files_that_were_cut_out_of_the_pictures(
    forms: dict[str, list[str]], tmp_path: Path, run_cli: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_tiny_network(monkeypatch)
    use_hasty_detection(monkeypatch)
    use_figures_once(monkeypatch)
    tables = {form: open_source(words[0]) for form, words in forms.items()}
    for form in ("coco", "voc"):
        assert [tables[form].read(path) for path in tables[form].frame["path"]] == [
            tables["yolo"].read(path) for path in tables["yolo"].frame["path"]
        ]
        assert tables[form].frame["label"].equals(tables["files"].frame["label"])
    for form in ("files", "yolo"):
        words = forms[form]
        done = run_cli(*small_audit(words[0], tmp_path / form, "--cache", str(tmp_path / "cache"), *words[1:]))
        assert done.exit_code == 0, done.stderr
    assert ranked(tmp_path / "files") == ranked(tmp_path / "yolo")
    _round(tmp_path / "yolo", run_cli)


def _round(out: Path, run_cli: Callable[..., Result]) -> None:
    """Decisions, the corrected texts, and a second audit that knows what people found."""
    result = AuditResult.load(out)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "images/000.png#1" in page and "Boxes that are missing" in page
    entries = []
    for path, label, other in result.ranking[["path", "label", "suggested_label"]].head(3).itertuples(index=False):
        known = {"path": path, "hash": result.summary["dataset"]["hashes"][path], "label": label, "how": "rank"}
        entries.append({**known, "decision": "relabel", "new_label": other, "time": "2026-01-01T00:00:00Z"})
    document = {"schema_version": 1, "kind": "auditor-decisions", "audit_id": result.audit_id, "decisions": entries}
    (out / "decisions.json").write_text(json.dumps(document))
    done = run_cli("review", "apply", str(out), str(out / "decisions.json"))
    assert done.exit_code == 0, done.stderr
    words = done.stdout.split("next: auditor audit ")[1].split(" -o OUT2")[0].split()
    again = run_cli(*small_audit(words[0], out.parent / "again", *words[1:], "--compare", str(out)))
    assert again.exit_code == 0, again.stderr
    second = AuditResult.load(out.parent / "again")
    assert second.ranking["looked"].map(bool).sum() == 3
    fresh = ("gate", str(out.parent / "again"), "--strict-fresh", "--exit-zero")
    judged = run_cli(*fresh)
    assert judged.exit_code in (0, 3), judged.stderr
    text = next((out / "reviewed" / "labels").glob("*.txt"))
    text.write_text(
        text.read_text().replace("0 ", "1 ", 1) if text.read_text()[0] == "0" else "0" + text.read_text()[1:]
    )
    stale = run_cli(*fresh)
    assert stale.exit_code == 2 and "under another label" in stale.stderr
