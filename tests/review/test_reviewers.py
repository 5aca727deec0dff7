"""Several reviewers at once, ledgers of every kind beside them: what agrees is applied, what does not is named."""

from __future__ import annotations

import csv
import json

import pytest
from baselines import baseline_of
from builders import make_result, true_labels
from review_files import by_rank, decision, looks_at, other_class, saved, written

from auditor.review import Ledger, Look, apply
from auditor.review.plans import ids_of

N, WRONG = 120, 0.1
TRUTH = true_labels(n=N, share_wrong=WRONG)


@pytest.fixture
def audit(tmp_path):
    return saved(tmp_path, make_result(n=N, share_wrong=WRONG))


@pytest.fixture
def out(tmp_path, audit):
    return tmp_path / "out"


def _labels(path):
    with path.open(encoding="utf-8", newline="") as file:
        return {row["path"]: row["label"] for row in csv.DictReader(file)}


def _item(result, row):
    path, label = result.ranking["path"].iloc[row], result.ranking["label"].iloc[row]
    return path, result.summary["dataset"]["hashes"][path], label


def _refused(run_cli, out, message, *files):
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    done = run_cli("review", "apply", out, *files)
    assert done.exit_code == 2 and message in done.stderr, done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 2, "one sentence and what to do"
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before


def test_what_reviewers_agree_on_is_applied_and_what_not_is_named(tmp_path, audit, out, run_cli):
    other = [other_class(audit, row) for row in range(6)]
    anna = [decision(audit, row, "relabel", other[row]) for row in range(4)]
    ben = [decision(audit, 0, "relabel", other[0]), decision(audit, 1, "keep"), decision(audit, 2, "drop")]
    files = (
        written(tmp_path / "a.json", audit, anna, reviewer="anna"),
        written(tmp_path / "b.json", audit, ben, reviewer="ben"),
    )
    done = run_cli("review", "apply", out, *files)
    assert done.exit_code == 0, done.stderr
    labels = _labels(out / "reviewed" / "cleaned.csv")
    assert [labels[_item(audit, row)[0]] for row in range(4)] == [
        other[0],
        _item(audit, 1)[2],
        _item(audit, 2)[2],
        other[3],
    ]
    assert "2 images are undecided, because their reviewers do not agree" in done.stdout
    assert _item(audit, 1)[0] in done.stdout and _item(audit, 2)[0] in done.stdout and "--again" in done.stdout
    assert "0 kept, 2 relabelled, 0 dropped, 2 unsure" in done.stdout
    ledger = Ledger.load(out / "auditor-ledger.json")
    assert len(ledger.looks) == 7 and {look.reviewer for look in ledger.looks} == {"anna", "ben"}
    assert ledger.standing(*_item(audit, 2)[1:]).status == "wrong", "both call it wrong, and name different remedies"

    third = written(
        tmp_path / "c.json", audit, [decision(audit, 1, "keep"), decision(audit, 2, "drop")], reviewer="zoe"
    )
    applied = apply(out, third)
    labels = _labels(applied.data)
    assert _item(audit, 2)[0] not in labels and labels[_item(audit, 0)[0]] == other[0], "earlier corrections hold"
    assert "undecided" not in applied.text


def test_the_order_of_files_does_not_change_the_data(tmp_path, audit, out):
    one = written(tmp_path / "a.json", audit, by_rank(audit, 20, TRUTH), reviewer="anna")
    two = written(tmp_path / "b.json", audit, [decision(audit, row, "keep") for row in range(10, 30)], reviewer="ben")
    first, second = (
        apply(out, files, output=tmp_path / name) for name, files in (("x", [one, two]), ("y", [two, one]))
    )
    for name in ("cleaned.csv", "auditor-ledger.json"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()


def test_files_without_a_name_are_people_of_their_own_and_that_is_said(tmp_path, audit, out):
    one = written(tmp_path / "anna.json", audit, [decision(audit, 0, "keep")])
    two = written(tmp_path / "ben.json", audit, [decision(audit, 0, "drop")])
    applied = apply(out, [one, two])
    assert "2 files name no reviewer" in applied.text and "anna, ben" in applied.text
    assert "1 image is undecided" in applied.text
    assert {look.reviewer for look in Ledger.load(applied.ledger).looks} == {"anna", "ben"}


def test_a_reviewer_who_decides_otherwise_later_is_one_person(tmp_path, audit, out):
    early = written(tmp_path / "a.json", audit, [decision(audit, 0, "keep")], reviewer="anna")
    late = written(
        tmp_path / "b.json", audit, [decision(audit, 0, "drop", time="2027-01-01T00:00:00Z")], reviewer="anna"
    )
    applied = apply(out, [late, early])
    assert applied.counts["dropped"] == 1 and "undecided" not in applied.text


def test_labels_that_were_made_wrong_change_nothing(tmp_path, audit, out, run_cli):
    run_cli("review", "sample", out, "-n", 10, "--known-wrong", 10)
    items = json.loads((out / "sample.json").read_text())["items"]
    made = looks_at(audit, [item for item in items if item["how"] == "known-wrong"], TRUTH)
    applied = apply(out, written(tmp_path / "d.json", audit, made))
    given = dict(zip(audit.ranking["path"], audit.ranking["label"], strict=True))
    assert _labels(applied.data) == given and applied.counts["not_reviewed"] == N
    assert [look.how for look in Ledger.load(applied.ledger).looks] == ["known-wrong"] * 10
    assert json.loads(applied.baseline.read_text())["entries"] == []


@pytest.mark.parametrize("reading", ["betting", "stratified"])
def test_what_was_looked_at_before_the_draw_leaves_the_plan(tmp_path, audit, out, run_cli, reading):
    run_cli("review", "sample", out, "-n", 20, "--reading", reading)
    items = json.loads((out / "sample.json").read_text())["items"]
    listed = by_rank(audit, 12, TRUTH)
    seen = {entry["path"] for entry in listed}
    drawn = looks_at(audit, [item for item in items if item["path"] not in seen], TRUTH)
    late = [entry for entry in by_rank(audit, 40, TRUTH)[30:] if entry["path"] not in {e["path"] for e in drawn}]
    only = apply(out, written(tmp_path / "a.json", audit, listed[:5]))
    assert only.certificate is None and Ledger.load(only.ledger).plan is None, "no drawn item was looked at yet"
    applied = apply(out, written(tmp_path / "b.json", audit, [*listed, *drawn, *late]))
    ledger = Ledger.load(applied.ledger)
    assert len(ids_of(ledger.plan)) == N - 12 and applied.certificate["looks"]["listed"] == 12
    assert len(ledger.plan.get("listed", [])) == (12 if reading == "stratified" else 0)
    chances = [look.probability for look in ledger.looks if look.how == "drawn"]
    assert all(chance is not None and 0 < chance < 1 for chance in chances) and len(chances) == len(drawn)


def test_drawn_looks_need_the_draw(tmp_path, audit, out, run_cli):
    run_cli("review", "sample", out, "-n", 20)
    items = json.loads((out / "sample.json").read_text())["items"]
    file = written(tmp_path / "d.json", audit, looks_at(audit, items, TRUTH))
    sample = (out / "sample.json").read_bytes()
    (out / "sample.json").unlink()
    _refused(run_cli, out, "drawn items were looked at, but", file)
    run_cli("review", "sample", out, "-n", 20)
    assert (out / "sample.json").read_bytes() == sample, "it is the same sample"
    assert run_cli("review", "apply", out, file).exit_code == 0


def test_a_baseline_of_an_earlier_version_goes_on_as_a_ledger(tmp_path, audit, out):
    applied = apply(out, written(tmp_path / "d.json", audit, [decision(audit, 0, "keep")]))
    (out / "auditor-ledger.json").unlink()
    applied.ledger.unlink()
    mark = json.loads((applied.folder / "review.json").read_text())
    (applied.folder / "review.json").write_text(json.dumps({**mark, "files": mark["files"] - 1}))
    _, hash, label = _item(audit, 5)
    baseline_of([(hash, label, "drop")]).save(applied.baseline)
    again = apply(out, written(tmp_path / "d.json", audit, [decision(audit, 1, "keep")]))
    assert again.counts["dropped"] == 1 and len(Ledger.load(again.ledger).looks) == 2


# --- bad input ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"looks": [', '<<<<<<< HEAD\n"looks": ['), "holds a merge conflict at line"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 9'), "schema version 9"),
        (lambda text: text.replace("auditor-ledger", "other"), "is not a ledger"),
        (lambda text: text[:-20], "not valid JSON"),
        (lambda text: text.replace('"keep"', '"maybe"'), "none of"),
    ],
)
@pytest.mark.parametrize("where", ["auditor-ledger.json", "reviewed/auditor-ledger.json"])
def test_a_damaged_ledger_gets_one_sentence_and_nothing_is_lost(tmp_path, audit, out, run_cli, where, change, message):
    file = written(tmp_path / "d.json", audit, [decision(audit, 0, "keep")])
    apply(out, file)
    (out / where).write_text(change((out / where).read_text()))
    _refused(run_cli, out, message, file)


def test_a_ledger_of_another_data_set_stays_and_that_is_said(tmp_path, audit, out):
    Ledger(None, (Look("d" * 64, "cat", "keep"),)).save(out / "auditor-ledger.json")
    applied = apply(out, written(tmp_path / "d.json", audit, [decision(audit, 0, "keep")]))
    assert "None of the 1 earlier looks is about this data set" in applied.text
    assert len(Ledger.load(applied.ledger).looks) == 2 and applied.counts["kept"] == 1


def test_a_sample_of_another_draw_is_not_used_and_that_is_said(tmp_path, audit, out, run_cli):
    run_cli("review", "sample", out, "-n", 20)
    document = json.loads((out / "sample.json").read_text())
    applied = apply(out, written(tmp_path / "d.json", audit, looks_at(audit, document["items"], TRUTH)))
    (out / "sample.json").write_text(json.dumps({**document, "plan": {**document["plan"], "salt": "lucky"}}))
    again = apply(out, written(tmp_path / "e.json", audit, by_rank(audit, 3, TRUTH), reviewer="ben"))
    assert "comes from another draw than the ledger's" in again.text
    assert Ledger.load(again.ledger).plan == Ledger.load(applied.ledger).plan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"how": "luck"}, "none of"),
        ({"how": "known-wrong"}, "not a label that could be made wrong"),
        ({"how": "known-wrong", "label": "no class"}, "not a label that could be made wrong"),
    ],
)
def test_decisions_with_a_strange_how(tmp_path, audit, out, run_cli, changes, message):
    _refused(run_cli, out, message, written(tmp_path / "d.json", audit, [decision(audit, 0, "keep", **changes)]))


def test_a_reviewer_who_is_no_text(tmp_path, audit, out, run_cli):
    _refused(run_cli, out, "must be text", written(tmp_path / "d.json", audit, [], reviewer=7))


def test_one_reviewers_file_that_contradicts_itself_is_refused_whole(tmp_path, audit, out, run_cli):
    good = written(tmp_path / "a.json", audit, [decision(audit, 1, "keep")], reviewer="anna")
    bad = written(tmp_path / "b.json", audit, [decision(audit, 0, "keep"), decision(audit, 0, "drop")], reviewer="ben")
    _refused(run_cli, out, "judged twice", good, bad)


def test_an_item_that_changed_on_the_disk(tmp_path, audit, out, run_cli):
    file = written(tmp_path / "d.json", audit, [decision(audit, 0, "keep")], reviewer="anna")
    (tmp_path / "data" / audit.ranking["path"].iloc[0]).write_bytes(b"other")
    _refused(run_cli, out, "has changed since the audit", file)


def test_names_from_anywhere_cannot_steer_the_terminal(tmp_path, audit, out, run_cli):
    name = "\x1b[31m\u202eanna\n"
    one = written(tmp_path / "a.json", audit, [decision(audit, 0, "keep")], reviewer=name)
    two = written(tmp_path / "b\x1b[2J.json", audit, [decision(audit, 0, "drop")])
    three = written(tmp_path / "c.json", audit, [decision(audit, 0, "drop")])
    done = run_cli("review", "apply", out, one, two, three)
    assert done.exit_code == 0 and "\x1b" not in done.stdout
    assert json.loads((out / "auditor-ledger.json").read_text())["looks"]


def test_judgements_of_labels_that_no_sample_made_wrong_are_left_out_and_said(tmp_path, run_cli):
    audit = make_result(n=60, classes=("ant", "bee", "cat"))
    (tmp_path / "three").mkdir()
    audit, out = saved(tmp_path / "three", audit), tmp_path / "three" / "out"
    run_cli("review", "sample", out, "-n", 10, "--known-wrong", 4)
    items = [item for item in json.loads((out / "sample.json").read_text())["items"] if item["how"] == "known-wrong"]
    made = [
        decision(audit, 0, "drop", **{key: item[key] for key in ("path", "hash", "label", "how")}) for item in items
    ]
    path, hash, label = _item(audit, 0)
    never = next(name for name in audit.classes if name not in (label, audit.ranking["suggested_label"].iloc[0]))
    invented = decision(audit, 0, "drop", path=path, hash=hash, label=never, how="known-wrong")
    file = written(tmp_path / "d.json", audit, [*made, invented])
    applied = apply(out, file)
    assert len(Ledger.load(applied.ledger).looks) == 4
    assert "1 judgement of a label made wrong left out" in applied.text
    (out / "sample.json").unlink()
    (out / "auditor-ledger.json").unlink()
    again = apply(out, file, output=tmp_path / "again")
    assert len(Ledger.load(again.ledger).looks) == 4, "the sample has gone on, and nothing is lost"


@pytest.mark.parametrize("name", ["auditor-ledger.json", "sample.json"])
def test_a_merge_conflict_stops_a_review_and_hides_nothing(tmp_path, audit, out, run_cli, name):
    run_cli("review", "sample", out, "-n", 20)
    items = json.loads((out / "sample.json").read_text())["items"]
    file = written(tmp_path / "d.json", audit, looks_at(audit, items, TRUTH))
    run_cli("review", "apply", out, file)
    path = out / name
    path.write_text(path.read_text().replace("[\n", "[\n<<<<<<< HEAD\n", 1))
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    for words in (["certify", out, file], ["sample", out, "-n", 9], ["apply", out, file]):
        done = run_cli("review", *words)
        assert done.exit_code == 2 and "holds a merge conflict at line" in done.stderr, words
        assert done.stderr.count("\n") == 2 and str(path) in done.stderr
        assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert run_cli("gate", out).exit_code in (0, 1, 3), "what was proved still counts"
    assert run_cli("report", out).exit_code == 0
    assert "of these labels are wrong now" in (out / "report.html").read_text(encoding="utf-8")
