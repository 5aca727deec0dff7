"""Decisions are on disk as soon as they are made, each reviewer's in a file that `review apply` takes."""

import json
import threading

import pytest
from helpers import names
from hypothesis import given
from hypothesis import strategies as st
from served import audit_with_pictures

from auditor.errors import DecisionsError
from auditor.review import apply
from auditor.review.decisions import load_review
from auditor.serving.desk import MOST_REVIEWERS, Desk


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    return audit_with_pictures(tmp_path_factory.mktemp("audit"), edge=8)


@pytest.fixture
def out(audited, tmp_path):
    (tmp_path / "out").mkdir()
    audited[0].save(tmp_path / "out")
    return tmp_path / "out"


def change(result, row, decision="keep", new_label=None, time="2026-01-01T00:00:00.000Z", how="rank", **more):
    entry = result.ranking.iloc[row]
    said = {"path": entry["path"], "label": entry["label"], "decision": decision}
    return {**said, "new_label": new_label, "time": time, "how": how, **more}


def other_class(result, row):
    return next(name for name in result.classes if name != result.ranking["label"][row])


def test_a_decision_lies_in_a_file_that_apply_takes(audited, out):
    result = audited[0]
    desk = Desk(result, out)
    desk.take(
        "ann", [change(result, 0, "relabel", other_class(result, 0)), change(result, 1), change(result, 2, "drop")]
    )
    held = desk.take("ann", [change(result, 1, None)])  # taken back
    assert [entry["decision"] for entry in held.entries] == ["relabel", "drop"]
    review = load_review(out / "decisions" / "ann.json", result)
    assert (review.reviewer, [d.decision for d in review.decisions]) == ("ann", ["relabel", "drop"])
    done = apply(out, [out / "decisions" / "ann.json"])
    assert (done.counts["relabelled"], done.counts["dropped"]) == (1, 1)


def test_a_second_desk_finds_what_the_first_one_kept(audited, out):
    result = audited[0]
    first = Desk(result, out)
    first.take("ann", [change(result, 3), change(result, 0, "unsure")])
    first.take("", [change(result, 1)])
    second = Desk(result, out)
    assert second.held("ann").entries == first.held("ann").entries
    assert second.counts == {"": 1, "ann": 2}
    assert second.held("bo").entries == ()


def test_a_change_that_does_not_fit_changes_nothing(audited, out):
    result = audited[0]
    desk = Desk(result, out)
    before = desk.take("ann", [change(result, 0)])
    wrong = [
        "no list",
        [17],
        [change(result, 1), {**change(result, 0), "path": "../../etc/passwd"}],
        [{**change(result, 0), "label": "a class that is none"}],
        [change(result, 0, "relabel", "a class that is none")],
        [change(result, 0, "relabel")],
        [change(result, 0, "keep", other_class(result, 0))],
        [change(result, 0, "burn")],
        [change(result, 0, how="by chance")],
        [change(result, 0, ["keep"])],
    ]
    for changes in wrong:
        with pytest.raises(DecisionsError):
            desk.take("ann", changes)
    assert desk.held("ann") == before
    assert names(out / "decisions") == ["ann.json"]


def test_the_hash_is_the_audits_whatever_the_browser_says(audited, out):
    result = audited[0]
    Desk(result, out).take("ann", [change(result, 0, hash="0" * 64)])
    written = json.loads((out / "decisions" / "ann.json").read_text())["decisions"][0]
    assert written["hash"] == result.summary["dataset"]["hashes"][written["path"]]


def test_a_file_that_cannot_be_written_changes_nothing(audited, out, monkeypatch):
    result = audited[0]
    desk = Desk(result, out)
    desk.take("ann", [change(result, 0)])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("auditor.system.files.write_json", full)
    with pytest.raises(OSError, match="No space"):
        desk.take("ann", [change(result, 1)])
    assert len(desk.held("ann").entries) == 1


def test_another_reviewers_answer_is_told_only_of_what_one_has_judged(audited, out):
    result = audited[0]
    desk = Desk(result, out)
    desk.take("bo", [change(result, 0, "relabel", other_class(result, 0)), change(result, 1), change(result, 2)])
    assert desk.held("ann").others == ()
    held = desk.take("ann", [change(result, 0), change(result, 2)])
    assert [(o["reviewer"], o["path"], o["decision"]) for o in held.others] == [
        ("bo", result.ranking["path"][0], "relabel"),
        ("bo", result.ranking["path"][2], "keep"),
    ]
    assert [(a["reviewer"], a["both"], a["agreed"]) for a in held.agreement] == [("bo", 2, 1)]


def test_two_looks_of_one_reviewer_at_one_item_are_compared_once(audited, out):
    result = audited[0]
    desk = Desk(result, out)
    desk.take("bo", [change(result, 0, "relabel", other_class(result, 0)), change(result, 1)])
    desk.take("bo", [change(result, 0, how="again"), change(result, 3, how="again")])
    held = desk.take("ann", [change(result, row) for row in (0, 1, 3)])
    assert [(a["both"], a["agreed"]) for a in held.agreement] == [(3, 3)], "the latest look counts, as in the ledger"
    assert len(held.others) == 3
    seen = desk.held("bo")
    assert [(a["reviewer"], a["both"], a["agreed"]) for a in seen.agreement] == [("ann", 3, 3)], "both count the same"
    assert result.ranking["path"][3] not in {o["path"] for o in seen.others}, "a second look is blind until then"


def test_decisions_of_many_threads_are_all_kept(audited, out):
    result = audited[0]
    desk = Desk(result, out)
    threads = [
        threading.Thread(target=desk.take, args=(name, [change(result, row)]))
        for row in range(8)
        for name in ("ann", "")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Desk(result, out).counts == {"": 8, "ann": 8}


def test_more_names_than_people_are_refused(audited, out):
    result = audited[0]
    desk = Desk(result, out)
    desk._held |= {str(number): {} for number in range(MOST_REVIEWERS)}
    with pytest.raises(DecisionsError, match="reviewers already"):
        desk.take("one more", [change(result, 0)])


def test_a_file_of_another_audit_or_under_another_name_is_refused(audited, out):
    result = audited[0]
    Desk(result, out).take("ann", [change(result, 0)])
    mine = out / "decisions" / "ann.json"
    mine.rename(out / "decisions" / "renamed.json")
    with pytest.raises(DecisionsError, match=r"renamed\.json holds the decisions of ann"):
        Desk(result, out)
    (out / "decisions" / "renamed.json").unlink()
    mine.write_text('{"schema_version": 1, "kind": "auditor-decisions", "audit_id": "other", "decisions": []}')
    with pytest.raises(DecisionsError, match="belongs to audit other"):
        Desk(result, out)


@given(st.lists(st.text(max_size=90), min_size=2, max_size=6, unique=True))
def test_names_that_differ_have_files_that_differ_inside_the_folder(audited, tmp_path_factory, reviewers):
    desk = Desk(audited[0], tmp_path_factory.getbasetemp())
    found = [desk.file_of(name) for name in reviewers]
    assert len({path.name.lower() for path in found}) == len(reviewers)
    assert all(len(path.relative_to(desk.folder).parts) == 1 for path in found)
    assert all(path.name.isascii() and len(path.name) < 100 and not path.name.startswith(".") for path in found)
