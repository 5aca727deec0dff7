"""`run` as the command line uses it: files in, files out, nothing touched when an input is bad."""

from __future__ import annotations

import copy
import dataclasses
import datetime
import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from baselines import baseline_of
from builders import make_result
from PIL import Image

from auditor.data.fresh import changes
from auditor.errors import AuditorError, ExitCode, ResultError
from auditor.gate import GateRequest, Judgement, default_rules, evaluate, run, run_init
from auditor.gate.levels import rules_from
from auditor.result import AuditResult
from auditor.sources.base import ImageTable, Skipped
from auditor.system import tables

TODAY = datetime.date(2025, 5, 1)


def state(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_outputs_are_written_although_the_gate_fails(out: Path, tmp_path: Path) -> None:
    done = run(
        out,
        GateRequest(outputs=["json=reports/verdict.json", "junit=reports/junit.xml", "sarif=s.sarif", "gitlab=g.json"]),
    )
    assert done.exit_code is ExitCode.GATE_FAILED
    assert json.loads((tmp_path / "reports/verdict.json").read_text())["verdict"] == "FAIL"
    assert [p.name for p in done.written] == ["verdict.json", "junit.xml", "s.sarif", "g.json"]
    assert all(p.is_file() for p in done.written)
    assert "wrong_labels" in done.stdout and done.stderr == ""
    assert run(out, GateRequest(exit_zero=True)).exit_code is ExitCode.OK


def test_an_output_without_a_file_has_standard_output_to_itself(out: Path) -> None:
    done = run(out, GateRequest(outputs=["json"]))
    assert json.loads(done.stdout)["verdict"] == "FAIL"
    assert "wrong_labels" in done.stderr


def _spoil(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "text", "arguments", "says"),
    [
        ("out/audit.json", None, {}, "holds no finished audit"),
        ("out/audit.json", "{}", {}, "schema version None"),
        ("out/audit.json", "[1]", {}, "is not an audit file"),
        ("out/audit.json", "{cut", {}, "cannot be read"),
        ("out/audit.json", '{"schema_version": 1, "audit_id": "0"}', {}, "not complete"),
        ("out/audit.json", '{"schema_version": 2, "audit_id": "0"}', {}, "schema version 2"),
        ("out/ranking.csv", "a,b\n1,2\n", {}, "other columns"),
        ("auditor.toml", "[rules.wrong_label]\nfail = 0.1\n", {}, "unknown rule 'wrong_label'"),
        ("auditor.toml", "[rules.wrong_labels]\nfail = 'x'\n", {}, "must be a number"),
        ("b", '{"schema_version": 9, "kind": "auditor-baseline", "entries": []}', {"baseline": "b"}, "b"),
        ("b", '{"version": "1.4.0", "results": {}}', {"baseline": "b"}, "b"),
        ("b", "[", {"baseline": "b"}, "b"),
        ("x", "", {"baseline": "missing.json"}, "missing.json"),
        ("x", "", {"config": "missing.toml"}, "missing.toml"),
        ("x", "", {"outputs": ["jsn=a.json"]}, "unknown output format 'jsn'"),
        ("x", "", {"outputs": ["json="]}, "names no file"),
        ("x", "", {"outputs": ["json=a", "sarif=./a"]}, "another output goes there"),
        ("x", "", {"outputs": ["json=out/audit.json"]}, "would overwrite"),
        ("x", "", {"outputs": ["json=out"]}, "names a folder"),
        ("auditor.toml", "", {"outputs": ["json=auditor.toml"]}, "would overwrite"),
    ],
)
def test_bad_input_exits_2_with_one_sentence_and_writes_nothing(
    out: Path, tmp_path: Path, file: str, text: str | None, arguments: dict[str, Any], says: str
) -> None:
    _spoil(tmp_path / file, text)
    before = state(tmp_path)
    with pytest.raises(AuditorError) as raised:
        run(out, GateRequest(**{"outputs": ["json=new.json"], "update_baseline": arguments == {}, **arguments}))
    assert raised.value.exit_code is ExitCode.USAGE
    assert says in raised.value.message
    assert "\n" not in raised.value.message
    assert state(tmp_path) == before


def test_a_file_that_cannot_be_written_is_an_error_and_leaves_no_part(out: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("a file, not a folder")
    with pytest.raises(AuditorError, match="cannot be written"):
        run(out, GateRequest(outputs=["json=plain/new.json"]))
    assert (tmp_path / "plain").read_text() == "a file, not a folder"


def test_no_output_replaces_a_file_of_the_data_set(out: Path, wrong: AuditResult, tmp_path: Path) -> None:
    first = wrong.ranking["path"].iloc[0]
    image = tmp_path / "data" / first
    image.parent.mkdir(parents=True)
    image.write_bytes(b"an image")
    (tmp_path / "data" / "list.csv").write_text("path,label\n")
    for source, file in (("data", image), ("data/list.csv", image), ("data/list.csv", tmp_path / "data/list.csv")):
        summary = {**wrong.summary, "dataset": {**wrong.summary["dataset"], "source": source, "root": "data"}}
        result = dataclasses.replace(wrong, summary=summary)
        before = state(tmp_path)
        with pytest.raises(AuditorError, match="belongs to the data set"):
            run(result, GateRequest(outputs=["markdown=new.md", f"json={file}"], update_baseline=True))
        assert state(tmp_path) == before
        assert run(result, GateRequest(outputs=["json=data/verdict.json"])).written == (Path("data/verdict.json"),)


def test_init_writes_a_configuration_that_the_audit_meets_and_never_over_one(out: Path, tmp_path: Path) -> None:
    assert run(out).exit_code is ExitCode.GATE_FAILED
    done = run_init(out)
    assert done.exit_code is ExitCode.OK and "auditor.toml" in done.stdout
    # The builder's data set has a duplicate under two labels and one in two splits: init eases those levels too.
    verdict = run(out).verdict
    assert verdict is not None and verdict.verdict is Judgement.WARN
    before = state(tmp_path)
    with pytest.raises(AuditorError, match="is there already"):
        run_init(out)
    assert state(tmp_path) == before


def test_init_adds_rules_after_the_settings_that_a_file_holds(out: Path, tmp_path: Path) -> None:
    (tmp_path / "auditor.toml").write_text("# ours\n[audit]\nseed = 3\n")
    assert "were added to auditor.toml" in run_init(out).stdout
    text = (tmp_path / "auditor.toml").read_text()
    assert text.startswith("# ours\n[audit]\nseed = 3\n\n# Levels of")
    assert run(out).exit_code is ExitCode.OK


def test_what_the_levels_and_the_baseline_were_is_said(out: Path, tmp_path: Path) -> None:
    assert "\nLevels: the defaults. Baseline: none.\n" in run(out).stdout
    (tmp_path / "pyproject.toml").write_text("[tool.auditor.rules.leakage]\nenabled = false\n")
    assert run(out, GateRequest(update_baseline=True), today=TODAY).exit_code is ExitCode.GATE_FAILED
    said = run(out).stdout
    assert "Levels: pyproject.toml. Baseline: auditor-baseline.json (" in said


def _decisions(result: AuditResult, count: int, **changes: Any) -> dict[str, Any]:
    hashes, rows = result.summary["dataset"]["hashes"], result.ranking.head(count)
    said = [
        {"path": r.path, "hash": hashes[r.path], "label": r.label, "decision": "keep", "new_label": None, "time": ""}
        for r in rows.itertuples()
    ]
    document = {"schema_version": 1, "kind": "auditor-decisions", "audit_id": "of another audit", "decisions": said}
    return document | changes


def test_a_reviewers_decisions_are_a_baseline_alone_or_beside_one(
    out: Path, wrong: AuditResult, tmp_path: Path
) -> None:
    (tmp_path / "decisions.json").write_text(json.dumps(_decisions(wrong, 5)))
    alone = run(out).verdict
    verdict = run(out, GateRequest(baseline="decisions.json")).verdict
    assert alone is not None and verdict is not None
    assert set(alone.new_suspects["path"]) - set(verdict.new_suspects["path"]) == set(wrong.ranking["path"].head(5))
    before = state(tmp_path)
    with pytest.raises(AuditorError, match="cannot be updated"):
        run(out, GateRequest(baseline="decisions.json", update_baseline=True))
    assert state(tmp_path) == before
    both = run(out, GateRequest(baseline=["base.json", "decisions.json"], update_baseline=True), today=TODAY)
    assert both.verdict is not None and both.verdict.new_suspects.empty
    entries = json.loads((tmp_path / "base.json").read_text())["entries"]
    assert sum(entry["decision"] == "keep" for entry in entries) == 5
    (tmp_path / "decisions.json").write_text(json.dumps(_decisions(wrong, 5, schema_version=7)))
    with pytest.raises(AuditorError, match="schema version 7"):
        run(out, GateRequest(baseline="decisions.json"))


def test_a_format_of_another_package_that_fails_is_named_and_nothing_is_written(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        name = "broken"

        def render(self, verdict: Any, result: Any) -> Any:
            raise KeyError("x")

    monkeypatch.setattr(sys.modules["auditor.gate.delivery"], "get", lambda name: Broken())
    before = state(tmp_path)
    with pytest.raises(AuditorError, match="the output format 'theirs' failed: KeyError"):
        run(out, GateRequest(outputs=["theirs=a.txt"], update_baseline=True))
    monkeypatch.setattr(Broken, "render", lambda self, verdict, result: None)
    with pytest.raises(AuditorError, match="gave NoneType, not text"):
        run(out, GateRequest(outputs=["theirs=a.txt"]))
    assert state(tmp_path) == before


def test_a_baseline_takes_todays_suspects_out_and_brings_back_a_changed_label(
    out: Path, wrong: AuditResult, tmp_path: Path
) -> None:
    first = run(out, GateRequest(baseline="base.json", update_baseline=True), today=TODAY)
    text = (tmp_path / "base.json").read_bytes()
    assert first.verdict is not None and first.verdict.new_suspects.empty
    assert "added to base.json" in first.stdout
    again = run(out, GateRequest(baseline="base.json", update_baseline=True), today=datetime.date(2030, 1, 1))
    assert (tmp_path / "base.json").read_bytes() == text, "nothing new: not a byte changes"
    assert again.verdict is not None and again.verdict.stale == ()

    suspect = wrong.ranking.iloc[0]
    renamed = _rename(wrong, suspect["path"], "train/zzz.png")
    verdict = run(renamed, GateRequest(baseline="base.json")).verdict
    assert verdict is not None and verdict.new_suspects.empty, "a rename brings nothing back"
    shuffled = dataclasses.replace(wrong, ranking=wrong.ranking.sample(frac=1, random_state=1))
    verdict = run(shuffled, GateRequest(baseline="base.json")).verdict
    assert verdict is not None and verdict.new_suspects.empty, "nor does another order"

    other = next(c for c in wrong.classes if c != suspect["label"])
    ranking = wrong.ranking.copy()
    ranking.loc[ranking["path"] == suspect["path"], "label"] = other
    verdict = run(dataclasses.replace(wrong, ranking=ranking), GateRequest(baseline="base.json")).verdict
    assert verdict is not None
    assert list(verdict.new_suspects["path"]) == [suspect["path"]]
    assert [(e.label, e.reason) for e in verdict.stale] == [(suspect["label"], "its label has changed")]
    gone = dataclasses.replace(wrong, ranking=wrong.ranking[wrong.ranking["path"] != suspect["path"]])
    verdict = run(gone, GateRequest(baseline="base.json")).verdict
    assert verdict is not None and [e.reason for e in verdict.stale] == ["its image is gone"]


def test_the_default_baseline_is_found_in_the_current_folder(out: Path, tmp_path: Path) -> None:
    run(out, GateRequest(update_baseline=True), today=TODAY)
    assert (tmp_path / "auditor-baseline.json").is_file()
    verdict = run(out).verdict
    assert verdict is not None and verdict.new_suspects.empty


def test_suspects_just_under_the_line_are_accepted_too_so_that_the_next_audit_does_not_flap(wrong: AuditResult) -> None:
    from auditor.gate.baselines import updated

    rules = rules_from({"new_suspects": {"probability": 0.8}})
    baseline, count = updated(None, wrong, rules, "2025-05-01")
    hashes = wrong.summary["dataset"]["hashes"]
    accepted = {entry.hash for entry in baseline.entries}
    expected = {hashes[r.path] for r in wrong.ranking.itertuples() if r.p_mislabelled >= 0.4}
    assert expected <= accepted
    assert count == len(baseline.entries)


def test_review_changes_the_share_by_what_was_learnt(wrong: AuditResult) -> None:
    hashes = wrong.summary["dataset"]["hashes"]
    rows = wrong.ranking.head(20)
    keys = [(hashes[path], label) for path, label in zip(rows["path"], rows["label"], strict=True)]
    p = rows["p_mislabelled"].sum()
    n = len(wrong.ranking)

    def share(decision: str) -> float:
        verdict = evaluate(wrong, default_rules(), baseline_of((*key, decision) for key in keys))
        return float(verdict.rules[0].measured or 0.0)

    alone = evaluate(wrong, default_rules()).rules[0].measured
    assert alone is not None
    assert share("keep") == pytest.approx(alone - p / n)
    assert share("relabel") == pytest.approx(alone - p / n)
    assert share("drop") == pytest.approx(alone + (20 - p) / n)
    assert share("unsure") == share("accepted") == pytest.approx(alone)


def test_accepting_a_conflict_takes_all_its_labels(wrong: AuditResult) -> None:
    result = dataclasses.replace(wrong, summary=copy.deepcopy(wrong.summary))
    hashes = result.summary["dataset"]["hashes"]
    first, second = (result.ranking[result.ranking["label"] == c].iloc[0] for c in result.classes)
    hashes[second["path"]] = hashes[first["path"]]
    entries = [{"path": r["path"], "label": r["label"], "split": r["split"]} for r in (first, second)]
    group = {"hash": hashes[first["path"]], "entries": entries}
    result.summary["dataset"]["duplicates"].update(conflicting=[group], n_conflicting=1)

    def judged(entries: list[tuple[str, str, str]]) -> Judgement:
        outcomes = evaluate(result, default_rules(), baseline_of(entries)).rules
        return next(o.verdict for o in outcomes if o.rule == "conflicting_duplicates")

    key = group["hash"]
    assert judged([]) is Judgement.FAIL
    assert judged([(key, first["label"], "keep")]) is Judgement.FAIL
    assert judged([(key, first["label"], "keep"), (key, second["label"], "accepted")]) is Judgement.PASS


def test_a_correction_that_nobody_applied_is_told_from_a_changed_label(wrong: AuditResult) -> None:
    suspect = wrong.ranking.iloc[0]
    key = wrong.summary["dataset"]["hashes"][suspect["path"]]
    other = next(c for c in wrong.classes if c != suspect["label"])
    reasons = {
        decision: evaluate(wrong, default_rules(), baseline_of([(key, other, decision)])).stale[0].reason
        for decision in ("relabel", "keep")
    }
    assert reasons == {"relabel": "it was to get this label and has not", "keep": "its label has changed"}


def test_entries_of_classes_that_were_not_audited_are_not_stale(wrong: AuditResult) -> None:
    result = dataclasses.replace(wrong, summary=copy.deepcopy(wrong.summary))
    result.summary["settings"]["classes"] = list(result.classes)
    verdict = evaluate(result, default_rules(), baseline_of([("x", "zebras", "keep"), ("y", "boats", "keep")]))
    assert [entry.label for entry in verdict.stale] == ["boats"]


def _rename(result: AuditResult, old: str, new: str) -> AuditResult:
    summary = copy.deepcopy(result.summary)
    summary["dataset"]["hashes"][new] = summary["dataset"]["hashes"].pop(old)
    return dataclasses.replace(result, summary=summary, ranking=result.ranking.replace({"path": {old: new}}))


# ---------------------------------------------------------------- strict-fresh


@pytest.fixture
def images(tmp_path: Path, wrong: AuditResult) -> tuple[AuditResult, dict[str, bytes]]:
    """The audit with the hashes of files that exist in memory."""
    data = {path: f"image {path}".encode() for path in wrong.ranking["path"]}
    summary = copy.deepcopy(wrong.summary)
    summary["dataset"]["hashes"] = {path: hashlib.sha256(b).hexdigest() for path, b in data.items()}
    summary["dataset"].update(skipped=[], n_skipped=0)
    return dataclasses.replace(wrong, summary=summary), data


def _table(result: AuditResult, data: dict[str, bytes], labels: dict[str, str] | None = None) -> ImageTable:
    given = dict(zip(result.ranking["path"], result.ranking["label"], strict=True)) | (labels or {})
    paths = sorted(data)

    def read(path: str) -> bytes:
        if data[path] == b"gone":
            raise OSError(path)
        return data[path]

    frame = pd.DataFrame({"path": paths, "label": [given.get(p, "boats") for p in paths], "split": ""})
    return ImageTable("photos", "photos", frame, read)


def test_strict_fresh_takes_what_is_unchanged(images: Any) -> None:
    result, data = images
    assert not changes(result, _table(result, data))
    done = run(result, GateRequest(strict_fresh=True), open_source=lambda spec: _table(result, data))
    assert done.exit_code is ExitCode.GATE_FAILED


def test_strict_fresh_names_what_is_new_gone_changed_or_relabelled(images: Any, tmp_path: Path) -> None:
    result, data = images
    a, b, c, d = sorted(data)[:4]
    now = {**data, "new.png": b"new", b: b"edited", c: b"gone"}
    del now[a]
    found = changes(result, _table(result, now, {d: "zebras"}))
    assert (found.added, found.removed, found.changed, found.relabelled) == (("new.png",), (a,), (b, c), (d,))
    with pytest.raises(ResultError) as raised:
        run(
            result,
            GateRequest(strict_fresh=True, outputs=[f"json={tmp_path / 'v'}"]),
            open_source=lambda spec: _table(result, now),
        )
    assert "older than its data set photos: 1 new, such as new.png" in raised.value.message
    assert raised.value.exit_code is ExitCode.USAGE
    assert not (tmp_path / "v").exists()


def test_what_was_skipped_is_tried_again(images: Any) -> None:
    """The same reason is no news; another one, a repaired image and a vanished one are."""
    result, data = images
    path, reason = "train/broken.png", "not an image of a supported format, or its header is damaged"
    result.summary["dataset"].update(skipped=[{"path": path, "reason": reason}], n_skipped=1)
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), (1, 2, 3)).save(picture, "PNG")

    def skipped(now: dict[str, bytes], listed: tuple[Skipped, ...] = ()) -> tuple[str, ...]:
        found = changes(result, dataclasses.replace(_table(result, {**data, **now}), skipped=listed))
        assert not (found.added or found.removed or found.changed or found.relabelled)
        return found.skipped

    assert skipped({path: b"neither then nor now"}) == ()
    assert skipped({}, (Skipped(path, reason),)) == ()
    assert skipped({path: picture.getvalue()}) == (path,)
    assert skipped({path: b""}) == (path,)
    assert skipped({path: b"gone"}) == (path,)
    assert skipped({}) == (path,)
    assert skipped({path: b"text"}, (Skipped("note.xyz", "not an image's file name ending: '.xyz'"),)) == ("note.xyz",)


def test_strict_fresh_under_chosen_classes_ignores_the_others(images: Any) -> None:
    result, data = images
    result.summary["settings"]["classes"] = list(result.classes)
    assert not changes(result, _table(result, {**data, "zebra.png": b"z"}, {"zebra.png": "zebras"}))


def test_strict_fresh_opens_the_source_as_the_user_wrote_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real folder source: a byte that changes on disk is seen."""
    monkeypatch.chdir(tmp_path)
    hashes, rows = {}, []
    for label in ("boats", "tables"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(3):
            file = tmp_path / "photos" / label / f"{i}.png"
            Image.new("RGB", (8, 8), (i * 40, 0, 90)).save(file)
            hashes[f"{label}/{i}.png"] = hashlib.sha256(file.read_bytes()).hexdigest()
            rows.append((f"{label}/{i}.png", label))
    base = make_result(n=6, thumbnails=0, examples=0, planted_rate=0.3)
    summary = copy.deepcopy(base.summary)
    summary["dataset"].update(hashes=hashes, source="photos", skipped=[], n_skipped=0)
    ranking = base.ranking.assign(path=[p for p, _ in rows], label=[c for _, c in rows])
    result = dataclasses.replace(base, summary=summary, ranking=ranking)
    assert run(result, GateRequest(strict_fresh=True)).verdict is not None
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "photos/boats/0.png")
    with pytest.raises(ResultError, match=r"1 changed, such as boats/0\.png"):
        run(result, GateRequest(strict_fresh=True))


def test_csv_escapes_do_not_hide_an_image_from_the_baseline(tmp_path: Path) -> None:
    """Hostile paths go through the saved files unchanged, so their hashes are found again."""
    result = make_result(hostile=True, share_wrong=0.3, thumbnails=0, examples=0)
    result.save(tmp_path)
    loaded = AuditResult.load(tmp_path)
    assert evaluate(loaded, default_rules()).to_json() == evaluate(result, default_rules()).to_json()
    assert tables.read_csv(tmp_path / "ranking.csv", ["path"]).shape[0] == len(result.ranking)
