"""A ledger goes into the next audit: what people found is certain, teaches, and is not listed again."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from helpers import FIXTURES, small_audit, use_sketched_figures, use_tiny_network

from auditor.data import ledger_file
from auditor.result import RANKING_COLUMNS, AuditResult
from auditor.review import cleaned, folder, ledger
from auditor.review.carried import carry
from auditor.review.ledger import Ledger
from auditor.review.looks import Look

pytestmark = pytest.mark.usefixtures("tiny")

Run = Callable[..., Any]


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _labels(manifest: Path) -> dict[str, str]:
    with manifest.open(encoding="utf-8", newline="") as stream:
        return {row["path"]: row["label"] for row in csv.DictReader(stream)}


def _write(manifest: Path, labels: dict[str, str]) -> None:
    rows = [("path", "label"), *sorted(labels.items())]
    with manifest.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)


def _data(place: Path) -> tuple[Path, dict[str, str]]:
    """160 digits with a manifest, and two copies of the first one."""
    shutil.copytree(FIXTURES / "digits", place)
    manifest = place / "labels.csv"
    labels = _labels(manifest)
    first = min(labels)
    for number in (1, 2):
        shutil.copy(place / first, place / f"copy{number}.png")
        labels[f"copy{number}.png"] = labels[first]
    _write(manifest, labels)
    return manifest, labels


def _other(label: str) -> str:
    return {"3": "8", "8": "3"}[label]


CASES = ("kept", "corrected", "not corrected", "dropped and there", "changed since", "in doubt", "accepted")


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory, run_cli: Run) -> dict[str, Any]:
    """An audit of a manifest with a ledger beside it that knows one item of every kind, and one audit without it."""
    place = tmp_path_factory.mktemp("looking")
    manifest, labels = _data(place / "data")
    images = sorted(path for path in labels if not path.startswith("copy"))
    items = {"kept": images[0], **dict(zip(CASES[1:], images[20::20], strict=False))}
    looks = [Look("f" * 64, "3", "drop", path="gone.png")]
    for case, path in items.items():
        label, hash = labels[path], _sha(place / "data" / path)
        if case == "kept":
            looks.append(Look(hash, label, "keep"))
        elif case == "corrected":
            looks.append(Look(hash, _other(label), "relabel", label))
        elif case == "not corrected":
            looks.append(Look(hash, label, "relabel", _other(label)))
        elif case == "dropped and there":
            looks.append(Look(hash, label, "drop"))
        elif case == "changed since":
            looks.append(Look(hash, _other(label), "keep"))
        else:
            looks.append(Look(hash, label, "unsure" if case == "in doubt" else "accepted"))
    Ledger(None, tuple(looks)).save(place / "data" / "auditor-ledger.json")
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_network(patch)
        use_sketched_figures(patch)
        said = {}
        for name, more in (("with", ()), ("without", ("--ledger", "none"))):
            words = [word for word in small_audit(manifest, place / name, *more) if word != "--quiet"]
            done = run_cli(*words)
            assert done.exit_code == 0, done.stderr
            said[name] = done.stderr
    return {
        "place": place,
        "manifest": manifest,
        "items": items,
        "labels": labels,
        "said": said,
        "with": AuditResult.load(place / "with"),
        "without": AuditResult.load(place / "without"),
    }


def _row(looked: dict[str, Any], case: str) -> pd.Series:
    ranking = looked["with"].ranking.set_index("path")
    return ranking.loc[looked["items"].get(case, case)]


def test_what_was_found_right_is_not_listed_again(looked: dict[str, Any]) -> None:
    for case in ("kept", "corrected", "copy1.png", "copy2.png"):
        row = _row(looked, case)
        assert row["looked"] == "right" and pd.isna(row["rank"]) and row["suggested_label"] == "", case
        assert row["p_mislabelled"] in (0.0,) or pd.isna(row["p_mislabelled"])
    ranking = looked["with"].ranking
    assert tuple(ranking.columns)[: len(RANKING_COLUMNS)] == RANKING_COLUMNS
    assert len(ranking) == len(looked["labels"])
    assert set(ranking["split"]) == {"train", "val", "test"}, "settled images keep their split"


def test_what_was_found_wrong_and_not_corrected_leads_the_list(looked: dict[str, Any]) -> None:
    ranking = looked["with"].ranking
    leading = ranking.head(2)
    assert set(leading["path"]) == {looked["items"]["not corrected"], looked["items"]["dropped and there"]}
    assert set(leading["looked"]) == {"wrong"} and leading["rank"].tolist() == [1, 2]
    row = _row(looked, "not corrected")
    assert row["suggested_label"] == _other(row["label"]), "the label that the reviewer named"
    assert _row(looked, "dropped and there")["suggested_label"] == ""


def test_what_nobody_settled_stays_on_the_list(looked: dict[str, Any]) -> None:
    for case, word in (("changed since", ""), ("in doubt", "undecided"), ("accepted", "")):
        row = _row(looked, case)
        assert row["looked"] == word and row["rank"] >= 3, case


def test_the_result_and_the_terminal_say_what_the_ledger_settled(looked: dict[str, Any]) -> None:
    use = dict(looked["with"].summary["ledger"])
    file = looked["place"] / "data" / "auditor-ledger.json"
    assert use.pop("source") == str(file) and use.pop("sha256") == _sha(file)
    assert use == {
        "looks": 7,
        "settled_right": 4,
        "settled_wrong": 2,
        "reopened": 1,
        "undecided": 1,
        "gone": 1,
    }
    line = next(line for line in looked["said"]["with"].splitlines() if "ledger " in line)
    assert line.endswith(
        "7 looks; 4 labels settled as right, 2 as wrong, 1 undecided, 1 reopened by a changed label, "
        "1 of items that are gone"
    )
    assert any("People looked at 6 of these labels" in note for note in looked["with"].summary["notes"])
    assert looked["without"].summary["ledger"] is None and "ledger " not in looked["said"]["without"]


def test_what_was_found_teaches(looked: dict[str, Any]) -> None:
    planted = looked["with"].planted.set_index("path")
    row = _row(looked, "not corrected")
    if row["split"] == "train":
        assert planted.loc[looked["items"]["not corrected"], "label"] == row["suggested_label"]
    train = looked["with"].ranking.query("split == 'train'")
    assert set(planted.index) == set(train["path"]), "settled images stay in training, and labels are planted on them"


def test_an_audit_without_a_ledger_is_the_audit_it_was(looked: dict[str, Any]) -> None:
    one, other = looked["with"], looked["without"]
    assert one.audit_id != other.audit_id
    assert set(other.ranking["looked"]) == {""} and other.ranking["rank"].notna().all()


def test_a_named_ledger_is_the_found_one_wherever_it_lies(
    looked: dict[str, Any], tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(looked["place"] / "data", tmp_path / "data")
    (tmp_path / "data" / "auditor-ledger.json").rename(tmp_path / "elsewhere.json")
    manifest = tmp_path / "data" / "labels.csv"
    named = run_cli(*small_audit(manifest, tmp_path / "named", "--ledger", str(tmp_path / "elsewhere.json")))
    assert named.exit_code == 0, named.stderr
    assert AuditResult.load(tmp_path / "named").audit_id == looked["with"].audit_id
    bare = run_cli(*small_audit(manifest, tmp_path / "bare"))
    assert bare.exit_code == 0, bare.stderr
    assert AuditResult.load(tmp_path / "bare").audit_id == looked["without"].audit_id


def test_more_looks_make_an_audit_old(looked: dict[str, Any], tmp_path: Path, run_cli: Run) -> None:
    shutil.copytree(looked["place"] / "data", tmp_path / "data")
    manifest, file = tmp_path / "data" / "labels.csv", tmp_path / "data" / "auditor-ledger.json"
    words = [word for word in small_audit(manifest, tmp_path / "out") if word != "--quiet"]
    assert run_cli(*words).exit_code == 0
    assert "its result stands" in run_cli(*words).stderr
    judge = ("gate", tmp_path / "out", "--strict-fresh", "--exit-zero", "--no-keep")
    assert run_cli(*judge).exit_code in (0, 3)
    path = looked["items"]["accepted"]
    more = Look(_sha(tmp_path / "data" / path), looked["labels"][path], "keep")
    Ledger.load(file).with_looks((more,)).save(file)
    told = run_cli(*judge)
    assert told.exit_code == 2 and "older than what people found" in told.stderr, told.stderr
    again = run_cli(*words)
    assert again.exit_code == 0 and "its result stands" not in again.stderr
    assert AuditResult.load(tmp_path / "out").summary["ledger"]["settled_right"] == 5


@pytest.mark.parametrize("fault", ["<<<<<<< ours\n", "no json", '{"kind": "auditor-ledger", "schema_version": 9}'])
def test_a_broken_ledger_stops_the_audit_and_says_the_way_on(tmp_path: Path, run_cli: Run, fault: str) -> None:
    manifest, _ = _data(tmp_path / "data")
    (tmp_path / "data" / "auditor-ledger.json").write_text(fault, encoding="utf-8")
    done = run_cli(*small_audit(manifest, tmp_path / "out"))
    assert done.exit_code == 2 and "--ledger none audits without it" in done.stderr
    assert done.stderr.count("error:") == 1 and not (tmp_path / "out").exists()


def test_a_named_ledger_must_be_there(tmp_path: Path, run_cli: Run) -> None:
    done = run_cli(*small_audit(FIXTURES / "digits", tmp_path / "out", "--ledger", str(tmp_path / "none.json")))
    assert done.exit_code == 2 and "cannot read the ledger" in done.stderr


def test_where_a_ledger_is_found(tmp_path: Path) -> None:
    manifest, folder_ = tmp_path / "labels.csv", str(tmp_path)
    manifest.write_text("path,label\n", encoding="utf-8")
    find = ledger_file.find_ledger
    assert find(folder_, "") is None and find("digits", "") is None and find("", "") is None
    (tmp_path / "auditor-baseline.json").write_text("{}", encoding="utf-8")
    assert find(str(manifest), "") is None, "a gate's baseline may lie anywhere"
    (tmp_path / "review.json").write_text("{}", encoding="utf-8")
    assert find(str(manifest), "") == find(folder_, "") == tmp_path / "auditor-baseline.json"
    (tmp_path / "auditor-ledger.json").write_text("{}", encoding="utf-8")
    for source in (str(manifest), f"{manifest}::label=kind", folder_):
        assert find(source, "") == tmp_path / "auditor-ledger.json"
        assert find(source, "none") is None and find(source, "x.json") == Path("x.json")


def test_the_names_are_those_of_the_review() -> None:
    assert ledger_file.LEDGER_NAME == ledger.LEDGER_NAME
    assert (ledger_file.EARLIER_NAME, ledger_file.EARLIER_MARK) == (cleaned.BASELINE_NAME, folder.REVIEW_MARK)


def test_results_of_earlier_versions_still_load(looked: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(looked["place"] / "without", tmp_path / "out")
    ranking = pd.read_csv(tmp_path / "out" / "ranking.csv", keep_default_na=False, dtype=str)
    ranking.drop(columns="looked").to_csv(tmp_path / "out" / "ranking.csv", index=False, lineterminator="\n")
    summary = json.loads((tmp_path / "out" / "audit.json").read_text("utf-8"))
    del summary["ledger"], summary["settings"]["ledger"], summary["dataset"]["root"]
    (tmp_path / "out" / "audit.json").write_text(json.dumps(summary), encoding="utf-8")
    old = AuditResult.load(tmp_path / "out")
    assert tuple(old.ranking.columns)[: len(RANKING_COLUMNS)] == RANKING_COLUMNS and set(old.ranking["looked"]) == {""}
    assert old.summary["ledger"] is None and old.settings["ledger"] == ""


def test_a_copy_of_the_ledger_goes_with_the_result(looked: dict[str, Any]) -> None:
    assert Ledger.load(looked["place"] / "with" / "auditor-ledger.json") == Ledger.load(
        looked["place"] / "data" / "auditor-ledger.json"
    )
    assert not (looked["place"] / "without" / "auditor-ledger.json").exists()


def test_looks_that_the_folder_holds_already_are_not_lost(looked: dict[str, Any], tmp_path: Path) -> None:
    result, name = looked["with"], "auditor-ledger.json"
    used = Ledger.load(looked["place"] / "data" / name)
    path = looked["items"]["accepted"]
    later = Look(result.summary["dataset"]["hashes"][path], looked["labels"][path], "keep", reviewer="Ann")
    used.with_looks((later,)).save(tmp_path / name)
    assert carry(result, tmp_path) == ()
    assert later in Ledger.load(tmp_path / name).looks, "apply added it there"
    foreign = Ledger(None, (Look("a" * 64, "3", "keep"),))
    foreign.save(tmp_path / name)
    told = carry(result, tmp_path)
    assert "auditor-ledger-1.json" in told[-1] and Ledger.load(tmp_path / "auditor-ledger-1.json") == foreign
    (tmp_path / name).write_text("<<<<<<< ours\n", encoding="utf-8")
    told = carry(result, tmp_path)
    assert "merge conflict" in told[0] and (tmp_path / "auditor-ledger-2.json").read_text("utf-8") == "<<<<<<< ours\n"
    assert Ledger.load(tmp_path / name) == used


def test_the_whole_round_sample_looks_corrected_data_and_the_next_audit_with_its_certificate(
    finished_folder: Path, tmp_path: Path, run_cli: Run
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished_folder, out)
    result = AuditResult.load(out)
    drawn = run_cli("review", "sample", out, "-n", "40")
    assert drawn.exit_code == 0, drawn.stderr
    items = json.loads((out / "sample.json").read_text("utf-8"))["items"]
    shown = [item for item in items if item["how"] == "drawn"]
    decisions = [
        {**{key: item[key] for key in ("path", "hash", "label", "how")}, "decision": "keep", "new_label": None}
        for item in shown
    ]
    decisions[0] |= {"decision": "relabel", "new_label": _other(decisions[0]["label"])}
    document = {"schema_version": 1, "kind": "auditor-decisions", "audit_id": result.audit_id, "decisions": decisions}
    (tmp_path / "decisions.json").write_text(json.dumps(document), encoding="utf-8")
    applied = run_cli("review", "apply", out, tmp_path / "decisions.json")
    assert applied.exit_code == 0, applied.stderr
    words = [w for w in small_audit(out / "reviewed" / "cleaned.csv", tmp_path / "next") if w != "--quiet"]
    again = run_cli(*words)
    assert again.exit_code == 0, again.stderr
    assert f"{len(shown)} looks" in again.stderr
    second = AuditResult.load(tmp_path / "next")
    ranking = second.ranking.set_index("path")
    assert set(ranking.loc[[item["path"] for item in shown], "looked"]) == {"right"}
    assert ranking.loc[decisions[0]["path"], "label"] == decisions[0]["new_label"]
    assert ranking["rank"].notna().sum() == len(ranking) - (ranking["looked"] == "right").sum()
    one, two = (
        json.loads((folder_ / "certificate.json").read_text("utf-8"))
        for folder_ in (out / "reviewed", tmp_path / "next")
    )
    assert two["content_hash"] == second.summary["dataset"]["content_hash"] and two["audit_id"] == second.audit_id
    assert two["today"] == two["remaining"], "the corrections are in the data"
    assert {**two, "audit_id": ""} == {**one, "audit_id": ""}, "the certificate of the corrected data is the same"
    assert two["looks"]["drawn"] == len(shown) and two["looks"]["changed"] == 0


def test_a_data_set_that_people_have_looked_at_whole_lists_nothing(tmp_path: Path, run_cli: Run) -> None:
    manifest, labels = _data(tmp_path / "data")
    looks = tuple(Look(_sha(tmp_path / "data" / path), label, "keep") for path, label in labels.items())
    Ledger(None, looks).save(tmp_path / "data" / "auditor-ledger.json")
    done = run_cli(*small_audit(manifest, tmp_path / "out"))
    assert done.exit_code == 0, done.stderr
    result = AuditResult.load(tmp_path / "out")
    assert set(result.ranking["looked"]) == {"right"} and result.ranking["rank"].isna().all()
