"""Decisions back into the data: complete, on originals that stay as they are, refused whole when one is wrong."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json

import pytest
from builders import make_result, true_labels
from hostile import HOSTILE_NAMES
from review_files import decision, decisions_document, other_class, saved, with_files, written

from auditor.errors import DecisionsError, ResultError
from auditor.review import apply, compare
from auditor.review.baseline import Baseline, BaselineEntry
from auditor.review.cleaned import CleanedImage, target_names, write_manifest
from auditor.review.decisions import Decision, baseline_entries
from auditor.sources import open_source


@pytest.fixture
def audit(tmp_path):
    """An audit of files in `data`, its result in `out`."""
    return saved(tmp_path, make_result(n=60, share_wrong=0.2))


def _write(tmp_path, result, entries, /, **changes):
    path = tmp_path / "decisions.json"
    path.write_text(json.dumps(decisions_document(result, entries, **changes)), encoding="utf-8")
    return path


def _by_truth(result):
    truth = true_labels(n=60, share_wrong=0.2)
    decisions = []
    for row, (path, label) in enumerate(zip(result.ranking["path"], result.ranking["label"], strict=True)):
        wrong = truth[path] != label
        decisions.append(decision(result, row, "relabel" if wrong else "keep", truth[path] if wrong else None))
    return decisions, truth


def _state(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return {row["path"]: (row["label"], row["split"]) for row in csv.DictReader(file)}


# --- what is written ---------------------------------------------------------------------------------------------


def test_reviewed_by_the_truth_gives_the_true_manifest(tmp_path, audit):
    decisions, truth = _by_truth(audit)
    before = _state(tmp_path / "data")
    applied = apply(tmp_path / "out", _write(tmp_path, audit, decisions))
    splits = dict(zip(audit.ranking["path"], audit.ranking["split"], strict=True))
    assert _rows(applied.data) == {path: (label, splits[path]) for path, label in truth.items()}
    assert applied.data == tmp_path / "out" / "reviewed" / "cleaned.csv"
    assert _state(tmp_path / "data") == before


def test_the_cleaned_manifest_is_a_source(tmp_path, audit):
    decisions, truth = _by_truth(audit)
    applied = apply(tmp_path / "out", _write(tmp_path, audit, decisions))
    table = open_source(str(applied.data))
    assert dict(zip(table.frame["path"], table.frame["label"], strict=True)) == truth
    for path in truth:
        assert table.read(path) == (tmp_path / "data" / path).read_bytes()


def test_a_cleaned_manifest_of_hostile_names_is_a_source(tmp_path):
    result = make_result(n=len(HOSTILE_NAMES))
    # The first stands at the root, where a spreadsheet would take its path for a formula.
    hostile = ("=1+1.png", *(f"a/{name}" for name in HOSTILE_NAMES[1:]))
    renamed = dict(zip(result.ranking["path"], hostile, strict=True))
    ranking = result.ranking.assign(path=result.ranking["path"].map(renamed))
    audited = with_files(tmp_path / "data", dataclasses.replace(result, ranking=ranking))
    (tmp_path / "out").mkdir()
    audited.save(tmp_path / "out")
    decisions = _write(tmp_path, audited, [decision(audited, 0, "keep")])
    table = open_source(str(apply(tmp_path / "out", decisions).data))
    contents = {table.read(path) for path in table.frame["path"]}
    assert contents == {b"image " + path.encode() for path in renamed.values()}


def test_what_a_reference_settled_trains_in_the_cleaned_data_set(tmp_path):
    """A manifest knows no split of that name, and without the reference these are images like others."""
    result = make_result(n=40)
    ranking = result.ranking.assign(split=["reference", *result.ranking["split"].iloc[1:]])
    audited = with_files(tmp_path / "data", dataclasses.replace(result, ranking=ranking))
    (tmp_path / "out").mkdir()
    audited.save(tmp_path / "out")
    table = open_source(str(apply(tmp_path / "out", _write(tmp_path, audited, [])).data))
    split = dict(zip(table.frame["path"], table.frame["split"], strict=True))
    assert split[ranking["path"].iloc[0]] == "train" and len(split) == 40


def test_the_corrected_folder_tree_is_a_source(tmp_path, audit):
    decisions, truth = _by_truth(audit)
    applied = apply(tmp_path / "out", _write(tmp_path, audit, decisions), format="folder", output=tmp_path / "new")
    table = open_source(str(applied.data))
    content = {(tmp_path / "data" / path).read_bytes(): label for path, label in truth.items()}
    assert {table.read(p): label for p, label in zip(table.frame["path"], table.frame["label"], strict=True)} == content
    assert sorted(set(table.frame["split"])) == ["test", "train", "val"]


def test_each_kind_ofdecision(tmp_path, audit):
    other = other_class(audit, 1)
    decisions = [
        decision(audit, 0, "keep"),
        decision(audit, 1, "relabel", other),
        decision(audit, 2, "drop"),
        decision(audit, 3, "unsure"),
    ]
    applied = apply(tmp_path / "out", _write(tmp_path, audit, decisions))
    rows = _rows(applied.data)
    paths, labels = list(audit.ranking["path"]), list(audit.ranking["label"])
    assert [rows[p][0] for p in (paths[0], paths[1], paths[3], paths[4])] == [labels[0], other, labels[3], labels[4]]
    assert paths[2] not in rows and len(rows) == 59
    assert applied.counts == {"kept": 1, "relabelled": 1, "dropped": 1, "unsure": 1, "not_reviewed": 56, "written": 59}
    assert "1 kept, 1 relabelled, 1 dropped, 1 unsure; 56 not reviewed" in applied.text
    found = {(e.hash, e.label): (e.decision, e.date) for e in Baseline.load(applied.baseline).entries}
    hashes = audit.summary["dataset"]["hashes"]
    assert found == {
        (hashes[paths[0]], labels[0]): ("keep", "2026-03-04"),
        (hashes[paths[1]], other): ("relabel", "2026-03-04"),
        (hashes[paths[2]], labels[2]): ("drop", "2026-03-04"),
        (hashes[paths[3]], labels[3]): ("unsure", "2026-03-04"),
    }


def test_applying_again_replaces_the_data_and_keeps_the_baseline(tmp_path, audit):
    first = apply(tmp_path / "out", _write(tmp_path, audit, [decision(audit, 0, "keep"), decision(audit, 1, "keep")]))
    again = apply(tmp_path / "out", _write(tmp_path, audit, [decision(audit, 1, "relabel", other_class(audit, 1))]))
    assert again.baseline == first.baseline
    assert [e.decision for e in Baseline.load(again.baseline).entries if e.path == audit.ranking["path"].iloc[1]] == [
        "relabel"
    ]
    assert len(Baseline.load(again.baseline).entries) == 2
    assert sorted(p.name for p in (tmp_path / "out").iterdir() if p.name.startswith(".")) == []


def test_equal_decisions_give_equal_bytes(tmp_path, audit):
    file = _write(tmp_path, audit, _by_truth(audit)[0])
    one = apply(tmp_path / "out", file, output=tmp_path / "one")
    two = apply(tmp_path / "out", file, output=tmp_path / "two")
    assert _state(one.folder) == _state(two.folder)


def test_images_that_are_no_files_are_copied(tmp_path):
    pytest.importorskip("sklearn")
    table = open_source("digits")
    result = make_result(n=20, classes=("3", "8"), share_wrong=0)
    ranking = result.ranking.copy()
    chosen = table.frame[table.frame["label"].isin(["3", "8"])].head(20)
    ranking["path"], ranking["label"] = list(chosen["path"]), list(chosen["label"])
    hashes = {p: hashlib.sha256(table.read(p)).hexdigest() for p in chosen["path"]}
    data = {**result.summary["dataset"], "source": "digits", "hashes": hashes}
    result = dataclasses.replace(result, ranking=ranking, summary={**result.summary, "dataset": data})
    (tmp_path / "out").mkdir()
    result.save(tmp_path / "out")
    applied = apply(tmp_path / "out", _write(tmp_path, result, [decision(result, 0, "drop")]))
    cleaned = open_source(str(applied.data))
    assert set(cleaned.frame["path"]) == set(chosen["path"].iloc[1:])
    assert all(hashlib.sha256(cleaned.read(p)).hexdigest() == hashes[p] for p in cleaned.frame["path"])


def test_labels_that_a_spreadsheet_would_run_are_written_where_none_does(tmp_path):
    result = make_result(n=20, classes=("=1+1", "cat"), share_wrong=0)
    ranking = result.ranking.assign(path=[f"x/{i:02d}.png" for i in range(20)])
    result = with_files(tmp_path / "data", dataclasses.replace(result, ranking=ranking))
    manifest = tmp_path / "data" / "labels.csv"
    lines = [f"{p},{label}" for p, label in zip(ranking["path"], ranking["label"], strict=True)]
    manifest.write_text("path,label\n" + "\n".join(lines) + "\n")
    result.summary["dataset"]["source"] = str(manifest)
    (tmp_path / "out").mkdir()
    result.save(tmp_path / "out")
    decisions = _write(tmp_path, result, [decision(result, 0, "relabel", other_class(result, 0))])
    applied = apply(tmp_path / "out", decisions)
    assert applied.data.name == "cleaned.jsonl" and not (applied.folder / "cleaned.csv").exists()
    table = open_source(str(applied.data))
    labels = dict(zip(table.frame["path"], table.frame["label"], strict=True))
    assert labels == {
        **dict(zip(ranking["path"], ranking["label"], strict=True)),
        ranking["path"][0]: other_class(result, 0),
    }


def test_paths_that_a_spreadsheet_would_run_are_made_harmless(tmp_path):
    result = make_result(n=20, share_wrong=0)
    ranking = result.ranking.assign(path=[f"=cmd{i:02d}.png" for i in range(20)])
    images = [CleanedImage(p, "a", "train") for p in ranking["path"]]
    write_manifest(tmp_path, images, target_names(images, "manifest"))
    text = (tmp_path / "cleaned.csv").read_text()
    assert not [cell for line in text.splitlines() for cell in line.split(",") if cell[:1] in "=+-@"]


def test_paths_that_lead_out_of_the_folder_are_given_names_inside(tmp_path):
    paths = ("../../etc/x.png", "/abs/x.png", "a/../x.png", "c:\\x.png", "ok/x.png")
    targets = target_names([CleanedImage(path, "a", "") for path in paths], "manifest")
    assert targets[-1] == "ok/x.png"
    for target in targets:
        assert (tmp_path / target).resolve().is_relative_to(tmp_path.resolve())
    assert len(set(targets)) == len(targets)


def test_names_that_meet_in_one_folder_are_kept_apart():
    images = [CleanedImage(path, "cat", "train") for path in ("a/1.png", "b/1.png", "b/1.PNG")]
    targets = target_names(images, "folder")
    assert targets[0] == "train/cat/1.png" and len({t.casefold() for t in targets}) == 3


@pytest.mark.parametrize("label", ["", "..", ".hidden", "a/b", "a\\b", "nul\0", "x" * 300, " a"])
def test_labels_that_are_no_folder_names_are_refused(label):
    with pytest.raises(DecisionsError, match="folder"):
        target_names([CleanedImage("a.png", label, "")], "folder")


# --- what is refused ---------------------------------------------------------------------------------------------


def _refused(tmp_path, audit, message, decisions, /, **changes):
    before = _state(tmp_path / "out")
    with pytest.raises(DecisionsError, match=message):
        apply(tmp_path / "out", _write(tmp_path, audit, decisions, **changes))
    assert _state(tmp_path / "out") == before


def test_decisions_of_another_audit(tmp_path, audit):
    _refused(tmp_path, audit, "belongs to audit", [], audit_id="0" * 16)


@pytest.mark.parametrize(
    "changes", [{"kind": "other"}, {"schema_version": 2}, {"decisions": {}}, {"decisions": [7]}, {"audit_id": 5}]
)
def test_malformed_documents(tmp_path, audit, changes):
    _refused(tmp_path, audit, r"decisions\.json", [], **changes)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", "[" * 100_000])
def test_files_that_are_no_decisions(tmp_path, audit, text):
    path = tmp_path / "decisions.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DecisionsError):
        apply(tmp_path / "out", path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "nowhere.png"}, "not an image of this audit"),
        ({"hash": "0" * 64}, "another content"),
        ({"label": "cat"}, "the audit has it as"),
        ({"decision": "maybe"}, "none of"),
        ({"decision": None}, "as text"),
        ({"decision": "relabel", "new_label": "no such class"}, "not another class"),
        ({"decision": "relabel", "new_label": None}, "not another class"),
        ({"new_label": "tables"}, "only a relabelled image"),
    ],
)
def test_stale_or_malformed_decisions(tmp_path, audit, changes, message):
    _refused(tmp_path, audit, message, [decision(audit, 3, "keep"), decision(audit, 0, "keep", **changes)])


def test_an_image_judged_in_two_ways(tmp_path, audit):
    _refused(tmp_path, audit, "judged twice", [decision(audit, 0, "keep"), decision(audit, 0, "drop")])


def test_identical_images_judged_in_two_ways(tmp_path, audit):
    first, second = audit.ranking["path"].iloc[:2]
    audit.summary["dataset"]["hashes"][second] = audit.summary["dataset"]["hashes"][first]
    audit.ranking.loc[1, "label"] = audit.ranking["label"].iloc[0]
    audit.save(tmp_path / "out")
    decisions = [decision(audit, 0, "keep"), decision(audit, 1, "relabel", other_class(audit, 1))]
    _refused(tmp_path, audit, "the same image under the same label", decisions)


def test_a_file_that_changed_since_the_audit(tmp_path, audit):
    (tmp_path / "data" / audit.ranking["path"].iloc[0]).write_bytes(b"other")
    _refused(tmp_path, audit, "has changed since the audit", [decision(audit, 0, "keep")])


def test_a_file_that_is_gone(tmp_path, audit):
    decisions = [decision(audit, 0, "keep")]
    (tmp_path / "data" / audit.ranking["path"].iloc[0]).unlink()
    _refused(tmp_path, audit, "cannot be read any more", decisions)


def test_dropping_everything(tmp_path, audit):
    _refused(tmp_path, audit, "every image is dropped", [decision(audit, row, "drop") for row in range(60)])


def test_folders_of_others_are_left_alone(tmp_path, audit):
    decisions = _write(tmp_path, audit, [])
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("x")
    with pytest.raises(DecisionsError, match="did not write"):
        apply(tmp_path / "out", decisions, output=mine)
    with pytest.raises(DecisionsError, match="inside the data set"):
        apply(tmp_path / "out", decisions, output=tmp_path / "data" / "cleaned")
    assert (mine / "thesis.txt").read_text() == "x" and not (tmp_path / "data" / "cleaned").exists()


def test_a_file_added_to_the_output_is_not_thrown_away(tmp_path, audit):
    decisions = _write(tmp_path, audit, [])
    applied = apply(tmp_path / "out", decisions)
    (applied.folder / "notes.txt").write_text("x")
    with pytest.raises(DecisionsError, match="did not write"):
        apply(tmp_path / "out", decisions)
    assert (applied.folder / "notes.txt").read_text() == "x"


def test_a_folder_without_an_audit(tmp_path, audit):
    with pytest.raises(ResultError):
        apply(tmp_path, _write(tmp_path, audit, []))


# --- comparison --------------------------------------------------------------------------------------------------


def test_comparing_an_audit_with_itself(audit):
    found = compare(audit, audit)
    assert found["images"] == {"added": 0, "removed": 0, "relabelled": 0}
    assert found["suspects"]["remaining"] == found["suspects"]["earlier"] == found["suspects"]["now"] > 0
    assert found["suspects"]["new"] == 0 and found["settings"] == {}
    assert "No image or label has changed." in found["sentences"]


def test_comparison_follows_every_suspect(audit):
    ranking = audit.ranking.copy()
    suspects = ranking.index[ranking["p_mislabelled"] >= 0.5][:4]
    assert len(suspects) == 4
    ranking.loc[suspects[0], "label"] = other_class(audit, suspects[0])
    ranking.loc[suspects[:2], "p_mislabelled"] = 0.01
    later = dataclasses.replace(audit, ranking=ranking.drop(index=suspects[2]).reset_index(drop=True))
    found = compare(later, audit)
    assert found["images"] == {"added": 0, "removed": 1, "relabelled": 1}
    assert {k: found["suspects"][k] for k in ("relabelled", "cleared", "removed")} == dict.fromkeys(
        ("relabelled", "cleared", "removed"), 1
    )
    assert found["suspects"]["remaining"] == found["suspects"]["earlier"] - 3
    assert compare(audit, later)["images"]["added"] == 1


def test_suspects_that_nobody_looked_at_are_said_to_come_first(audit):
    ranking = audit.ranking.copy()
    suspects = ranking.index[ranking["p_mislabelled"] >= 0.5]
    n = len(suspects)
    assert n >= 4
    ranking.loc[suspects[0], "label"] = other_class(audit, suspects[0])
    ranking.loc[suspects[:3], "p_mislabelled"] = 0.01
    ranking["looked"] = ""
    ranking.loc[suspects[1], "looked"] = "keep"
    found = compare(dataclasses.replace(audit, ranking=ranking), audit)
    assert found["suspects"]["seen"] == 1
    assert found["sentences"][2:5] == [
        f"You corrected 1 of {n} earlier suspects (labels more likely wrong than right).",
        "Somebody looked at 1 more and left the label as it is.",
        f"Nobody has looked at the other {n - 2}: check them first ({n - 3} of these are still suspects).",
    ]
    untouched = compare(audit, audit)["sentences"]
    assert "Nobody has looked at them: check them first." in untouched


def test_comparison_without_probabilities_makes_no_claim(audit):
    plain = make_result(n=60, calibrated=False)
    found = compare(audit, plain)
    assert found["suspects"] is None and "cannot be compared" in found["sentences"][0]


def test_comparison_names_settings_that_differ(audit):
    other = make_result(n=60, planted_rate=0.2)
    assert compare(audit, other)["settings"] == {"noise_rate": [0.2, 0.1]}


def test_baseline_entries_of_identical_images():
    make = lambda path, decision: Decision(path, "a" * 64, "cat", decision, None, "")  # noqa: E731
    assert baseline_entries([make("1", "drop"), make("2", "keep"), make("3", "unsure")]) == [
        BaselineEntry("a" * 64, "cat", "keep", "2", "")
    ]


def test_groups_go_with_the_cleaned_data(tmp_path, run_cli):
    audit = saved(tmp_path, make_result(n=40))
    rows = list(zip(audit.ranking["path"], audit.ranking["label"], strict=True))
    with (tmp_path / "data" / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [("path", "label", "group"), *((p, label, f"g{i % 5}") for i, (p, label) in enumerate(rows))]
        )
    decided = written(tmp_path / "d.json", audit, [decision(audit, 0, "drop")])
    applied = apply(tmp_path / "out", decided, source=str(tmp_path / "data" / "labels.csv"))
    with applied.data.open(encoding="utf-8", newline="") as file:
        now = {row["path"]: row["group"] for row in csv.DictReader(file)}
    assert now == {path: f"g{i % 5}" for i, (path, _) in enumerate(rows) if i}
