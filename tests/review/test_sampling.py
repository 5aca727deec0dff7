"""The sample: drawn from what nobody looked at, the same again, extended and never drawn anew."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from builders import make_result, true_labels
from review_files import by_rank, looks_at, saved, written

from auditor.certificate import item_id
from auditor.errors import ConfigError, DecisionsError
from auditor.result import AuditResult
from auditor.review import Ledger, Look, Wish, draw_sample, plan_for, read_sample, write_sample
from auditor.review.plans import ids_of

N, WRONG = 200, 0.1
TRUTH = true_labels(n=N, share_wrong=WRONG)


@pytest.fixture(scope="module")
def audit(tmp_path_factory) -> AuditResult:
    return saved(tmp_path_factory.mktemp("audit"), make_result(n=N, share_wrong=WRONG))


def _hash(result, row):
    return result.summary["dataset"]["hashes"][result.ranking["path"].iloc[row]]


def _look(result, row, word="keep", final=None, **changes):
    return Look(_hash(result, row), result.ranking["label"].iloc[row], word, final, **changes)


def _with(result, **columns):
    return dataclasses.replace(result, ranking=result.ranking.assign(**columns))


def _paths(sample, how="drawn"):
    return [item["path"] for item in sample["items"] if item["how"] == how]


def test_equal_data_gives_an_equal_sample_and_a_larger_one_begins_with_it(audit, tmp_path):
    small, large = (draw_sample(audit, Ledger(), Wish(n=n)) for n in (30, 60))
    assert _paths(large)[:30] == _paths(small) and small["plan"] == large["plan"]
    shuffled = dataclasses.replace(audit, ranking=audit.ranking.sample(frac=1, random_state=1))
    assert draw_sample(shuffled, Ledger(), Wish(n=30)) == small
    assert write_sample(tmp_path, small).read_bytes() == write_sample(tmp_path, small).read_bytes()
    assert read_sample(tmp_path) == small


def test_another_data_set_draws_by_another_salt(audit):
    data = {**audit.summary["dataset"], "content_hash": "other"}
    other = dataclasses.replace(audit, summary={**audit.summary, "dataset": data})
    assert plan_for(other, Ledger()).salt != plan_for(audit, Ledger()).salt


def test_suspicious_items_are_drawn_more_often(audit):
    strata = plan_for(audit, Ledger(), target=0.1).strata
    weights = {item: stratum.weight for stratum in strata for item in stratum.items}
    ids = [item_id(_hash(audit, row), audit.ranking["label"].iloc[row]) for row in range(N)]
    assert weights[ids[0]] > 2 * weights[ids[-1]] > 0


def test_what_was_looked_at_or_settled_by_a_reference_is_not_drawn(audit):
    looks = (
        _look(audit, 0),
        _look(audit, 1, "unsure"),
        _look(audit, 2, "accepted"),
        _look(audit, 3, how="known-wrong"),
    )
    split = audit.ranking["split"].copy()
    split.iloc[4] = "reference"
    drawn = ids_of(plan_for(_with(audit, split=split), Ledger(None, looks)).document())
    ids = [item_id(_hash(audit, row), audit.ranking["label"].iloc[row]) for row in range(6)]
    assert [id in drawn for id in ids] == [False, False, True, True, False, True]


def test_a_ranking_without_suspicion_draws_all_alike(audit):
    for suspicion in (np.nan, np.where(np.arange(N) < 50, np.inf, np.nan)):
        plan = plan_for(_with(audit, suspicion=suspicion), Ledger())
        assert sum(len(stratum.items) for stratum in plan.strata) == N
    assert (
        len({round(stratum.weight, 12) for stratum in plan_for(_with(audit, suspicion=np.nan), Ledger()).strata}) == 1
    )


def test_a_target_below_two_percent_spreads_the_sample(audit):
    assert (plan_for(audit, Ledger(), target=0.01).spread, plan_for(audit, Ledger(), target=0.05).spread) == (0.9, 0.5)
    assert plan_for(dataclasses.replace(audit, summary={**audit.summary, "calibration": None}), Ledger()).spread == 0.9


def test_one_planned_look_is_the_checkpoint_of_a_stratified_reading(audit):
    plan = draw_sample(audit, Ledger(), Wish(n=120, reading="stratified"))["plan"]
    assert (plan["reading"], plan["checkpoints"]) == ("stratified", [120])
    assert draw_sample(audit, Ledger(), Wish(n=60, checkpoints=(60, 120)))["plan"]["checkpoints"] == [60, 120]


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish(n=9, target=1.5), "between 0 and 1"),
        (Wish(n=9, checkpoints=(0,)), "numbers of looks"),
        (Wish(n=9, reading="betting", checkpoints=(9,)), "no checkpoints"),
    ],
)
def test_options_that_make_no_sense(audit, wish, message):
    with pytest.raises(ConfigError, match=message):
        draw_sample(audit, Ledger(), wish)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish(n=9, reading="stratified"), "drawn for the reading betting"),
        (Wish(n=9, checkpoints=(9,)), "drawn for the reading betting"),
        (Wish(n=9, target=0.3), "below 2%"),
    ],
)
def test_a_drawn_sample_is_never_drawn_anew(audit, wish, message):
    earlier = draw_sample(audit, Ledger(), Wish(n=30, target=0.01))
    with pytest.raises(ConfigError, match=message):
        draw_sample(audit, Ledger(), wish, earlier)
    with pytest.raises(ConfigError, match=message):
        draw_sample(audit, Ledger(earlier["plan"]), wish)


def test_scores_that_change_later_do_not_change_the_sample(audit):
    earlier = draw_sample(audit, Ledger(), Wish(n=30))
    other = _with(audit, suspicion=-audit.ranking["suspicion"])
    assert _paths(draw_sample(other, Ledger(), Wish(n=30), earlier)) == _paths(earlier)


def test_items_that_came_later_join_the_draw(audit):
    few = dataclasses.replace(audit, ranking=audit.ranking.iloc[10:])
    earlier = draw_sample(few, Ledger(), Wish(n=30))
    grown = draw_sample(audit, Ledger(), Wish(n=200), earlier)
    assert len(ids_of(grown["plan"])) == N and set(_paths(grown)) == set(audit.ranking["path"])
    old = [path for path in _paths(grown) if path in set(few.ranking["path"])]
    assert old[:30] == _paths(earlier)


def test_items_that_are_gone_are_not_shown(audit):
    earlier = draw_sample(audit, Ledger(), Wish(n=30))
    less = dataclasses.replace(audit, ranking=audit.ranking[audit.ranking["path"] != _paths(earlier)[0]])
    assert _paths(draw_sample(less, Ledger(), Wish(n=30), earlier))[:29] == _paths(earlier)[1:]


def test_copies_are_shown_once(audit):
    paths = list(audit.ranking["path"])
    hashes = {path: _hash(audit, i - i % 4) for i, path in enumerate(paths)}
    data = {**audit.summary["dataset"], "hashes": hashes}
    copies = dataclasses.replace(_with(audit, label="tables"), summary={**audit.summary, "dataset": data})
    sample = draw_sample(copies, Ledger(), Wish(n=N))
    assert len(sample["items"]) == N / 4 and sum(len(s["items"]) for s in sample["plan"]["strata"]) == N


def test_nothing_left_to_look_at(audit):
    looks = tuple(_look(audit, row) for row in range(N))
    with pytest.raises(DecisionsError, match="every item of this data set was looked at"):
        draw_sample(audit, Ledger(None, looks), Wish(n=9))


# --- labels made wrong, and second looks -------------------------------------------------------------------------


def test_labels_made_wrong_are_of_another_class_and_unsuspicious(audit):
    sample = draw_sample(audit, Ledger(), Wish(n=30, known_wrong=12))
    made = [item for item in sample["items"] if item["how"] == "known-wrong"]
    given = dict(zip(audit.ranking["path"], audit.ranking["label"], strict=True))
    suspicion = dict(zip(audit.ranking["path"], audit.ranking["suspicion"], strict=True))
    assert len(made) == 12 and not {item["path"] for item in made} & set(_paths(sample))
    for item in made:
        assert item["label"] != given[item["path"]] and item["label"] in audit.classes
        assert suspicion[item["path"]] < audit.ranking["suspicion"].median()
    again = draw_sample(audit, Ledger(), Wish(n=60), sample)
    assert set(_paths(again, "known-wrong")) == set(_paths(sample, "known-wrong")), "they wait for their reviewer"
    judged = tuple(Look(item["hash"], given[item["path"]], "drop", how="known-wrong") for item in made)
    assert _paths(draw_sample(audit, Ledger(None, judged), Wish(n=60), sample), "known-wrong") == []


def test_adding_labels_made_wrong_keeps_the_drawn_items(audit):
    sample = draw_sample(audit, Ledger(), Wish(n=30))
    more = draw_sample(audit, Ledger(), Wish(known_wrong=5), sample)
    assert _paths(more) == _paths(sample) and len(more["items"]) == 35


def test_doubtful_items_are_shown_again_among_as_many_right_ones(audit):
    looks = [_look(audit, row, "drop", reviewer="anna") for row in range(5)]
    looks += [_look(audit, row, "keep", reviewer="anna") for row in range(5, 40)]
    looks += [_look(audit, 5, "drop", reviewer="ben"), _look(audit, 0, "drop", reviewer="ben")]
    looks += [_look(audit, 40, "unsure", reviewer="anna")]
    sample = draw_sample(audit, Ledger(None, tuple(looks)), Wish(again=True))
    rows = {path: row for row, path in enumerate(audit.ranking["path"])}
    shown = [rows[path] for path in _paths(sample, "again")]
    doubtful = [row for row in shown if row < 6 or row == 40]
    assert sorted(doubtful) == [1, 2, 3, 4, 5, 40], "two people agree about 0, and disagree about 5"
    assert len(shown) == 12 and shown != sorted(shown)
    assert {(item["how"], item["probability"]) for item in sample["items"]} == {("again", None)}
    assert set(sample["items"][0]) == {"path", "hash", "label", "how", "probability"}


# --- by the command ----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    saved(tmp_path, make_result(n=N, share_wrong=WRONG))
    return tmp_path / "out"


def test_the_command_draws_says_what_and_extends(folder, run_cli):
    done = run_cli("review", "sample", folder, "-n", 50, "--known-wrong", 10)
    assert done.exit_code == 0, done.stderr
    assert "60 items (50 drawn, 10 with a label made wrong)" in done.stdout and "at any moment" in done.stdout
    result = AuditResult.load(folder)
    said = looks_at(result, read_sample(folder)["items"], TRUTH)
    assert run_cli("review", "apply", folder, written(folder / "a.json", result, said)).exit_code == 0
    done = run_cli("review", "sample", folder, "-n", 30)
    assert "to look at: 30 items (30 drawn)" in done.stdout
    again = run_cli("review", "sample", folder, "-n", 30)
    assert again.stdout == done.stdout, "the same items come until somebody has looked at them"
    assert not {item["path"] for item in read_sample(folder)["items"]} & {entry["path"] for entry in said}


def test_the_command_shows_doubtful_items_again(folder, run_cli):
    result = AuditResult.load(folder)
    file = written(folder / "a.json", result, by_rank(result, 30, TRUTH), reviewer="anna")
    done = run_cli("review", "sample", folder, "--again", file)
    assert done.exit_code == 0 and "to be looked at again" in done.stdout, done.stderr
    assert "anna" not in (folder / "sample.json").read_text()
    assert not (folder / "auditor-ledger.json").exists(), "the decisions are read, and go nowhere else"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing is asked for"),
        (["-n", 0], "not in the range"),
        (["-n", 5, "--checkpoints", "a,b"], "not a list of whole numbers"),
        (["-n", 5, "--target", "7"], "between 0 and 1"),
        (["--again", "nowhere.json"], "cannot read the decisions file"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(folder, run_cli, words, message):
    done = run_cli("review", "sample", folder, *words)
    assert done.exit_code == 2 and message in done.stderr
    assert not (folder / "sample.json").exists()


def _damaged(text, document, kind):
    if kind == "conflict":
        return text.replace('\n"items"', '\n<<<<<<< HEAD\n"items"')
    stratum = document["plan"]["strata"][0]
    changes = {
        "version": {"schema_version": 9},
        "kind": {"kind": "other"},
        "items": {"items": 5},
        "item": {"items": [{**document["items"][0], "label": 7}]},
        "plan": {"plan": {**document["plan"], "strata": []}},
        "other data": {"plan": {**document["plan"], "strata": [{**stratum, "items": ["0" * 16]}]}},
    }
    return json.dumps(document | changes[kind])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("conflict", "holds a merge conflict at line"),
        ("version", "schema version 9"),
        ("kind", "is not a sample"),
        ("items", "no list of items"),
        ("item", "item 1 of the sample"),
        ("plan", "the plan of the sample is damaged"),
        ("other data", "a sample of another data set"),
    ],
)
def test_a_damaged_sample_gets_one_sentence_and_stays(folder, run_cli, kind, message):
    assert run_cli("review", "sample", folder, "-n", 20).exit_code == 0
    path = folder / "sample.json"
    path.write_text(_damaged(path.read_text(), json.loads(path.read_text()), kind))
    before = path.read_bytes()
    done = run_cli("review", "sample", folder, "-n", 40)
    assert done.exit_code == 2 and message in done.stderr and done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 2 and path.read_bytes() == before


def test_a_sample_of_an_earlier_audit_goes_on(folder, run_cli):
    run_cli("review", "sample", folder, "-n", 20)
    path = folder / "sample.json"
    earlier = json.loads(path.read_text())
    path.write_text(json.dumps({**earlier, "audit_id": "0" * 16}))
    done = run_cli("review", "sample", folder, "-n", 20)
    assert done.exit_code == 0 and "drawn in an earlier audit of this folder" in done.stdout
    assert read_sample(folder) == earlier


def _answers(folder, name="d.json"):
    """A file with a right answer to every item of the sample."""
    result = AuditResult.load(folder)
    return written(folder / name, result, looks_at(result, read_sample(folder)["items"], TRUTH), reviewer="ada")


def test_decisions_that_are_not_applied_yet_count_as_looked_at(folder, run_cli):
    run_cli("review", "sample", folder, "-n", 30)
    first, shown = _answers(folder), {item["path"] for item in read_sample(folder)["items"]}
    certified = run_cli("review", "certify", folder, first)
    command = next(line for line in certified.stdout.splitlines() if line.startswith("next: "))
    assert f"auditor review sample {folder} {first} -n " in command and "review apply" in command
    again = run_cli("review", "sample", folder, "-n", 30)
    assert "rests on 30 drawn looks, and 0 of them are applied" in again.stdout
    assert {item["path"] for item in read_sample(folder)["items"]} == shown, "the ledger does not know them"
    done = run_cli("review", "sample", folder, first, "-n", 30)
    assert done.exit_code == 0 and "rests on" not in done.stdout, done.stderr
    assert not {item["path"] for item in read_sample(folder)["items"]} & shown
    assert not (folder / "auditor-ledger.json").exists(), "the decisions are read, and go nowhere else"
    second = _answers(folder, "e.json")
    assert run_cli("review", "certify", folder, first, second).exit_code == 0
    assert json.loads((folder / "certificate.json").read_text())["looks"]["drawn"] == 60


def test_the_sample_that_the_report_shows_needs_no_file(folder, run_cli):
    result = AuditResult.load(folder)
    own = draw_sample(result, Ledger(), Wish(n=40))
    evidence = {**result.evidence, "sample": own["items"]}
    dataclasses.replace(result, evidence=evidence).save(folder)
    listed = by_rank(result, 10, TRUTH)
    drawn = [item for item in own["items"] if item["path"] not in {entry["path"] for entry in listed}]
    file = written(folder / "d.json", result, [*listed, *looks_at(result, drawn, TRUTH)])
    assert run_cli("review", "certify", folder, file).exit_code == 0
    bare = json.loads((folder / "certificate.json").read_text())
    assert (bare["looks"]["drawn"], bare["looks"]["listed"]) == (len(drawn), 10)
    write_sample(folder, own)
    run_cli("review", "certify", folder, file)
    assert json.loads((folder / "certificate.json").read_text()) == bare, "as if the command had drawn it"
    (folder / "sample.json").unlink()
    only_listed = written(folder / "l.json", result, listed)
    assert run_cli("review", "apply", folder, only_listed).exit_code == 0
    assert run_cli("review", "apply", folder, file).exit_code == 0
    certified = json.loads((folder / "certificate.json").read_text())
    assert certified["looks"] == bare["looks"], "looks at the list do not change what the page has drawn"


def test_drawn_looks_that_no_sample_of_this_audit_explains_are_refused(folder, run_cli):
    run_cli("review", "sample", folder, "-n", 30)
    file = _answers(folder)
    (folder / "sample.json").unlink()
    done = run_cli("review", "certify", folder, file)
    assert done.exit_code == 2 and "sample.json is gone" in done.stderr
