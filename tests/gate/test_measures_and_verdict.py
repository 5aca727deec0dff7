"""Rules against results whose figures are set by hand: what fails, what warns, what cannot be decided."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from baselines import baseline_of
from builders import make_result
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from auditor.errors import ExitCode, ResultError
from auditor.gate import RULES, Judgement, default_rules, evaluate, exit_code, load_rules, roll_up, table
from auditor.gate.levels import rules_from
from auditor.gate.rules.new_suspects import wrong_among
from auditor.result import AuditResult
from auditor.system.text import plain


def clean_result(**changes: Any) -> AuditResult:
    """A result that meets every default level; `changes` go to `make_result`."""
    result = make_result(**{"n": 400, "share_wrong": 0.0, "thumbnails": 0, "examples": 0, **changes})
    summary = copy.deepcopy(result.summary)
    summary["dataset"].update(skipped=[], n_skipped=0)
    summary["dataset"]["duplicates"] = {"conflicting": [], "leaking": [], "n_conflicting": 0, "n_leaking": 0}
    if summary["calibration"]:
        summary["calibration"]["share"] = {"value": 0.004, "interval": [0.0, 0.012]}
        for entry in summary["calibration"]["by_class"]:
            entry.update(share=0.004, share_interval=[0.0, 0.02])
        summary["recovery"]["ceiling"] = None
    cells = [
        [990 if i == j else 10 // (len(result.classes) - 1) for j in range(len(result.classes))]
        for i in range(len(result.classes))
    ]
    for key in ("clean", "corrupted"):
        summary["model"][key]["test"] = {
            "n": sum(map(sum, cells)),
            "accuracy": 0.99,
            "f1_weighted": 0.99,
            "confusion": cells,
        }
    ranking = result.ranking.assign(p_mislabelled=result.ranking["p_mislabelled"].clip(upper=0.2))
    return dataclasses.replace(result, summary=summary, ranking=ranking)


def judged(result: AuditResult, name: str, rules: Any = None, baseline: Any = None) -> Any:
    verdict = evaluate(result, rules or default_rules(), baseline)
    return next(outcome for outcome in verdict.rules if outcome.rule == name)


def with_share(value: float, low: float, high: float) -> AuditResult:
    result = clean_result()
    result.summary["calibration"]["share"] = {"value": value, "interval": [low, high]}
    return result


def suspects(result: AuditResult, probabilities: list[float]) -> AuditResult:
    """The result with these probabilities on its first rows and nothing suspicious after them."""
    values = np.full(len(result.ranking), 0.001)
    values[: len(probabilities)] = probabilities
    return dataclasses.replace(result, ranking=result.ranking.assign(p_mislabelled=values))


def test_a_clean_result_passes_every_rule() -> None:
    verdict = evaluate(clean_result(), default_rules())
    assert [(o.rule, o.verdict) for o in verdict.rules] == [
        (rule.name, Judgement.PASS) for rule in RULES if not rule.only_if_asked
    ]
    assert verdict.verdict is Judgement.PASS
    assert exit_code(verdict) is ExitCode.OK


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        ((0.010, 0.0, 0.02), Judgement.PASS),
        ((0.010, 0.0, 0.021), Judgement.WARN),
        ((0.030, 0.0, 0.05), Judgement.WARN),
        ((0.030, 0.021, 0.05), Judgement.WARN),
        ((0.010, 0.0, 0.2), Judgement.UNDECIDED),
        ((0.021, 0.0, 0.2), Judgement.UNDECIDED),
        ((0.300, 0.05, 0.5), Judgement.UNDECIDED),
        ((0.060, 0.051, 0.07), Judgement.FAIL),
    ],
)
def test_wrong_labels_fail_and_pass_by_the_whole_interval_and_are_undecided_while_it_holds_the_level(
    share: Any, expected: Judgement
) -> None:
    outcome = judged(with_share(*share), "wrong_labels")
    assert outcome.verdict is expected
    assert outcome.measured == pytest.approx(share[0])
    assert outcome.level == (0.02 if expected in (Judgement.WARN, Judgement.PASS) else 0.05)


SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)).map(sorted)


@settings(max_examples=20)
@given(SHARES, st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted), st.booleans())
def test_no_interval_that_crosses_a_level_passes(share: list[float], levels: list[float], mild: bool) -> None:
    """DESIGN.md, with the levels in between: beyond `fail`, across it, within it, within `warn`."""
    (low, value, high), (warn, fail) = share, levels
    assume(all(abs(end - level) > 1e-9 for end in share for level in levels))
    entries: dict[str, Any] = {"warn": warn, "fail": fail, **({"undecided": "warn"} if mild else {})}
    verdict = judged(with_share(value, low, high), "wrong_labels", rules_from({"wrong_labels": entries})).verdict
    if low > fail:
        assert verdict is Judgement.FAIL
    elif high > fail:
        assert verdict is (Judgement.WARN if mild else Judgement.UNDECIDED)
    else:
        assert verdict is (Judgement.PASS if high <= warn else Judgement.WARN)


def test_a_stricter_fail_level_alone_leaves_no_gap_that_reads_as_a_pass() -> None:
    rules = rules_from({"wrong_labels": {"fail": 0.01}})
    assert judged(with_share(0.08, 0.0, 0.2), "wrong_labels", rules).verdict is Judgement.UNDECIDED
    assert judged(with_share(0.009, 0.0, 0.2), "wrong_labels", rules).verdict is Judgement.UNDECIDED
    assert judged(with_share(0.004, 0.0, 0.01), "wrong_labels", rules).verdict is Judgement.PASS


def test_what_would_decide_is_named_and_how_to_live_with_it() -> None:
    outcome = judged(with_share(0.01, 0.0, 0.2), "wrong_labels")
    assert "undecided: the interval holds the fail level of 5%" in outcome.message
    assert 40 <= outcome.looks <= 70, "the rule of three: about ln 20 / level"
    assert f"`auditor review sample OUT -n {outcome.looks}` draws them" in outcome.message
    assert '`undecided = "warn"` in [rules.wrong_labels] makes this a warning.' in outcome.advice
    stricter = judged(with_share(0.01, 0.0, 0.2), "wrong_labels", rules_from({"wrong_labels": {"fail": 0.01}}))
    assert 150 < stricter.looks < 400
    few = judged(with_share(0.01, 0.0, 0.2), "wrong_labels", rules_from({"wrong_labels": {"fail": 0.0}}))
    assert 350 < few.looks <= 400, "no wrong label at all: nearly every image has to be seen"
    warned = judged(with_share(0.01, 0.0, 0.04), "wrong_labels")
    assert "not surely at most the warn level of 2%" in warned.message
    assert "prove at most 2%" in warned.advice and warned.looks > outcome.looks


def test_undecided_as_a_warning_is_said_and_does_not_hide_what_the_audit_lacks() -> None:
    rules = rules_from({rule.name: {"undecided": "warn"} for rule in RULES if not rule.only_if_asked})
    result = with_share(0.01, 0.0, 0.2)
    outcome = judged(result, "wrong_labels", rules)
    assert outcome.verdict is Judgement.WARN
    assert "undecided, taken as a warning: the interval holds" in outcome.message and outcome.looks
    assert int(exit_code(evaluate(result, rules))) == 0
    result.summary["influence"]["solves"][0].update(converged=False)
    assert judged(result, "wrong_labels", rules).verdict is Judgement.UNDECIDED
    result = with_share(0.01, 0.0, 0.2)
    result.summary["calibration"].update(decided=False, reason="too few planted labels were found")
    outcome = judged(result, "wrong_labels", rules)
    assert outcome.verdict is Judgement.UNDECIDED
    assert "Looks decide without the audit's word: " in outcome.advice and outcome.looks


def test_an_audit_that_cannot_tell_passes_nothing_that_rests_on_its_estimate() -> None:
    result = with_share(0.001, 0.0, 0.002)
    result.summary["calibration"]["cannot_tell"] = True
    outcomes = {o.rule: o for o in evaluate(result, default_rules()).rules}
    for name in ("wrong_labels", "class_share"):
        assert outcomes[name].verdict is Judgement.UNDECIDED, name
        assert "the model cannot tell without looks how many labels are wrong" in outcomes[name].message
        assert outcomes[name].looks
    empty = judged(result, "new_suspects", baseline=baseline_of([]))
    assert empty.verdict is Judgement.UNDECIDED and empty.looks, "nothing listed is no proof"
    result.summary["calibration"]["share"] = {"value": 0.2, "interval": [0.1, 0.3]}
    assert judged(result, "wrong_labels").verdict is Judgement.FAIL, "what is surely too much still fails"


@pytest.mark.parametrize("how", ["null", "undecided", "no share", "as the pipeline writes it"])
def test_without_a_calibration_the_share_is_undecided_and_so_is_the_gate(how: str) -> None:
    result = with_share(0.001, 0.0, 0.002)
    if how == "null":
        result = clean_result(calibrated=False)
    elif how == "undecided":
        result.summary["calibration"].update(decided=False, reason="too few planted labels were found")
    elif how == "no share":
        result.summary["calibration"]["share"] = {"value": None, "interval": None}
    else:
        calibration = {"decided": False, "reason": "Too few images.", "share": None, "count": None, "by_class": []}
        result.summary["calibration"].update(calibration)
        result = dataclasses.replace(result, ranking=result.ranking.assign(p_mislabelled=np.nan))
    verdict = evaluate(result, default_rules())
    assert judged(result, "wrong_labels").verdict is Judgement.UNDECIDED
    assert verdict.verdict is Judgement.UNDECIDED
    assert exit_code(verdict) is ExitCode.UNDECIDED
    assert exit_code(verdict, exit_zero=True) is ExitCode.UNDECIDED


def test_a_solve_that_did_not_converge_makes_every_estimate_undecided_but_not_the_exact_rules() -> None:
    result = with_share(0.3, 0.2, 0.4)
    result.summary["influence"]["solves"][1].update(converged=False, relative_residual=0.02)
    verdict = evaluate(result, default_rules())
    undecided = {outcome.rule for outcome in verdict.rules if outcome.verdict is Judgement.UNDECIDED}
    assert undecided == {"wrong_labels", "new_suspects", "class_share", "recovery"}
    assert "did not converge (relative residual up to 0.02)" in judged(result, "recovery").message
    result.summary["dataset"].update(n_skipped=100)
    assert evaluate(result, default_rules()).verdict is Judgement.FAIL, "a certain failure stands"


@pytest.mark.parametrize(
    ("recall", "expected"),
    [
        ((0.8, 0.7, 0.9), Judgement.PASS),
        ((0.45, 0.3, 0.5), Judgement.WARN),
        ((0.39, 0.3, 0.5), Judgement.WARN),
        ((0.5, 0.19, 0.8), Judgement.UNDECIDED),
        ((0.12, 0.05, 0.2), Judgement.UNDECIDED),
    ],
)
def test_an_audit_that_finds_too_little_of_what_it_planted_waves_nothing_through(
    recall: Any, expected: Judgement
) -> None:
    result = clean_result()
    ranking = result.summary["recovery"]["rankings"]["suspicion"]
    ranking["recall_at_k"] = {"value": recall[0], "interval": list(recall[1:])}
    outcomes = {outcome.rule: outcome.verdict for outcome in evaluate(result, default_rules()).rules}
    assert outcomes["recovery"] is expected
    lost = Judgement.UNDECIDED if expected is Judgement.UNDECIDED else Judgement.PASS
    assert {outcomes["wrong_labels"], outcomes["class_share"], outcomes["new_suspects"]} == {lost}


def test_finding_no_more_than_chance_is_undecided_even_without_a_level() -> None:
    result = clean_result()
    result.summary["recovery"]["rankings"]["suspicion"]["recall_at_k"] = {"value": 0.11, "interval": [0.09, 0.2]}
    assert judged(result, "recovery", rules_from({"recovery": {"fail": 0.0, "warn": 0.0}})).verdict == "UNDECIDED"


def test_recovery_falls_back_to_the_influence_ranking() -> None:
    result = clean_result()
    rankings = result.summary["recovery"]["rankings"]
    rankings["influence"]["recall_at_k"] = {"value": 0.61, "interval": [0.5, 0.7]}
    rankings["suspicion"] = None
    assert judged(result, "recovery").measured == 0.61


def test_the_worst_class_is_found_and_its_interval_widened_for_the_number_of_classes() -> None:
    result = clean_result(classes=5)
    by_class = result.summary["calibration"]["by_class"]
    by_class[3].update(share=0.3, share_interval=[0.25, 0.35])
    outcome = judged(result, "class_share")
    assert outcome.verdict is Judgement.FAIL
    assert outcome.evidence[0]["label"] == by_class[3]["label"]
    # 2.5758 is the standard normal quantile of 1 - 0.025 / 5
    assert outcome.interval == pytest.approx((0.3 - 0.05 * 2.5758 / 1.95996, 0.3 + 0.05 * 2.5758 / 1.95996), abs=1e-4)
    by_class[3].update(share=0.26, share_interval=[0.21, 0.31])
    outcome = judged(result, "class_share")
    assert outcome.verdict is Judgement.UNDECIDED, "0.21 no longer lies above 0.2 once widened"
    assert outcome.looks <= 80 and "prove at most 4%" in outcome.message, "4% of all are a fifth of one class in five"
    by_class[3].update(label="class 03", n=20)
    many = dataclasses.replace(result, ranking=_relabelled(result, keep=20))
    assert "looks at all 20 images labelled 'class 03' decide it" in judged(many, "class_share").message


def _relabelled(result: AuditResult, keep: int) -> Any:
    """The ranking with all but `keep` images of `class 03` under another label."""
    ranking = result.ranking.copy()
    rows = ranking.index[ranking["label"] == "class 03"][keep:]
    ranking.loc[rows, "label"] = "class 00"
    return ranking


def test_the_class_that_may_be_worst_decides_although_another_has_the_higher_estimate() -> None:
    result = clean_result(classes=5)
    by_class = result.summary["calibration"]["by_class"]
    by_class[1].update(share=0.08, share_interval=[0.07, 0.09])
    by_class[3].update(share=0.01, share_interval=[0.0, 0.5])
    outcome = judged(result, "class_share")
    assert outcome.verdict is Judgement.UNDECIDED and outcome.measured == 0.01
    assert outcome.evidence[0]["label"] == by_class[1]["label"]


def test_new_suspects_warn_by_number_and_fail_only_when_surely_wrong() -> None:
    many = suspects(clean_result(), [0.99] * 30)
    assert judged(many, "new_suspects").verdict is Judgement.WARN, "without a baseline the default cannot fail"
    outcome = judged(many, "new_suspects", baseline=baseline_of([]))
    assert (outcome.verdict, outcome.measured) == (Judgement.FAIL, 30.0)
    assert outcome.interval is not None and outcome.interval[0] > 10
    assert "30 wrong if the probabilities hold; " in outcome.message
    assert judged(many, "new_suspects", rules_from({"new_suspects": {"fail": 10}})).verdict is Judgement.FAIL
    few = judged(suspects(clean_result(), [0.9] * 12), "new_suspects", baseline=baseline_of([]))
    assert few.verdict is Judgement.UNDECIDED and few.looks == 12
    assert "12 looks at these suspects decide it" in few.message
    fewer = judged(suspects(clean_result(), [0.9] * 9), "new_suspects", baseline=baseline_of([]))
    assert fewer.verdict is Judgement.WARN


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.0, 1.0), max_size=9))
def test_the_number_of_wrong_suspects_has_the_range_that_enumeration_gives(p: list[float]) -> None:
    mass = np.zeros(len(p) + 1)
    for outcome in itertools.product((0, 1), repeat=len(p)):
        mass[sum(outcome)] += np.prod([q if wrong else 1 - q for q, wrong in zip(p, outcome, strict=True)])
    low, high = wrong_among(np.array(p))
    below = np.cumsum(mass)
    assert below[int(low)] > 0.025 and (low == 0 or below[int(low) - 1] <= 0.025 + 1e-9)
    assert below[int(high)] >= 0.975 - 1e-9 and (high == 0 or below[int(high) - 1] < 0.975)


def test_model_rules_need_certainty_to_fail() -> None:
    result = clean_result()
    poor = {"n": 20, "accuracy": 0.3, "f1_weighted": 0.3, "confusion": [[3, 7], [7, 3]]}
    result.summary["model"]["clean"]["test"] = poor
    outcome = judged(result, "model_f1")
    assert outcome.verdict is Judgement.UNDECIDED and outcome.looks is None
    assert re.search(r"a test split of about \d+ images would decide it", outcome.message)
    sure = {"n": 2000, "accuracy": 0.1, "f1_weighted": 0.1, "confusion": [[100, 900], [900, 100]]}
    result.summary["model"]["clean"]["test"] = sure
    assert judged(result, "model_f1").verdict is Judgement.FAIL
    result.summary["model"]["clean"]["test"] = {"n": 0, "accuracy": None, "f1_weighted": None, "confusion": [[0]]}
    assert judged(result, "model_f1").verdict is Judgement.UNDECIDED


def test_a_drop_in_f1_is_the_difference_of_both_models() -> None:
    result = clean_result()
    result.summary["model"]["clean"]["test"] = {
        "n": 2000,
        "accuracy": 0.95,
        "f1_weighted": 0.95,
        "confusion": [[950, 50], [50, 950]],
    }
    result.summary["model"]["corrupted"]["test"] = {
        "n": 2000,
        "accuracy": 0.6,
        "f1_weighted": 0.6,
        "confusion": [[600, 400], [400, 600]],
    }
    outcome = judged(result, "f1_drop")
    assert outcome.verdict is Judgement.FAIL
    assert outcome.measured == pytest.approx(0.35)
    assert outcome.interval[0] < 0.35 < outcome.interval[1]


def test_unreadable_balance_and_duplicates() -> None:
    result = clean_result()
    dataset = result.summary["dataset"]
    dataset.update(skipped=[{"path": "a.png", "reason": "cut short"}], n_skipped=1)
    assert judged(result, "unreadable").verdict is Judgement.WARN
    assert judged(result, "unreadable").evidence == ({"path": "a.png", "reason": "cut short"},)
    dataset.update(n_skipped=10)
    assert judged(result, "unreadable").verdict is Judgement.FAIL
    dataset["counts"] = dict(zip(result.classes, (4, 396), strict=True))
    assert judged(result, "class_balance").verdict is Judgement.WARN
    dataset["counts"] = dict(zip(result.classes, (3, 397), strict=True))
    assert judged(result, "class_balance").verdict is Judgement.FAIL


def test_leakage_fails_where_the_splits_are_the_data_sets_own_and_warns_where_the_audit_drew_them() -> None:
    result = clean_result()
    group = {"hash": "h", "entries": [{"path": f"{s}/x.png", "label": "boats", "split": s} for s in ("train", "test")]}
    within = {"hash": "i", "entries": [{"path": f"{s}/y.png", "label": "boats", "split": s} for s in ("train", "val")]}
    result.summary["dataset"]["duplicates"].update(leaking=[group, within], n_leaking=2)
    outcome = judged(result, "leakage")
    assert (outcome.verdict, outcome.measured) == (Judgement.FAIL, 1.0)
    assert [row["path"] for row in outcome.evidence] == ["train/x.png", "test/x.png"]
    result.summary["dataset"]["split_origin"] = "seeded"
    assert judged(result, "leakage").verdict is Judgement.WARN


@given(st.lists(st.sampled_from(list(Judgement)), max_size=6))
def test_the_roll_up_never_passes_what_a_rule_did_not(judgements: list[Judgement]) -> None:
    got = roll_up(judgements)
    if Judgement.FAIL in judgements:
        assert got is Judgement.FAIL
    elif Judgement.UNDECIDED in judgements or not judgements:
        assert got is Judgement.UNDECIDED
    else:
        assert got is (Judgement.WARN if Judgement.WARN in judgements else Judgement.PASS)


def test_exit_codes_follow_the_verdict_alone() -> None:
    verdict = evaluate(clean_result(), default_rules())
    codes = {
        (judgement, zero): exit_code(dataclasses.replace(verdict, verdict=judgement), zero)
        for judgement in Judgement
        for zero in (False, True)
    }
    assert {key: int(code) for key, code in codes.items() if code} == {
        (Judgement.FAIL, False): 1,
        (Judgement.UNDECIDED, False): 3,
        (Judgement.UNDECIDED, True): 3,
    }


def test_rules_that_are_switched_off_are_not_judged_but_named() -> None:
    rules = rules_from({"wrong_labels": {"enabled": False}, "leakage": {"enabled": False}})
    verdict = evaluate(with_share(0.5, 0.4, 0.6), rules)
    assert verdict.switched_off == ("wrong_labels", "leakage")
    assert {o.rule for o in verdict.rules}.isdisjoint(verdict.switched_off)
    everything = rules_from({rule.name: {"enabled": False} for rule in RULES})
    assert evaluate(clean_result(), everything).verdict is Judgement.UNDECIDED, "nothing judged is not a pass"


def test_equal_results_give_equal_bytes() -> None:
    first, second = (evaluate(make_result(n=300), default_rules()).to_json() for _ in range(2))
    assert first == second
    assert json.loads(first)["verdict"] == evaluate(make_result(n=300), default_rules()).verdict


def test_a_summary_that_lacks_something_is_a_result_error() -> None:
    for key in ("calibration", "recovery", "dataset", "model", "influence", "settings"):
        result = clean_result()
        del result.summary[key]
        if key == "settings":  # only a baseline asks for the settings
            assert evaluate(result, default_rules()).verdict is Judgement.PASS
            continue
        with pytest.raises(ResultError, match=key):
            evaluate(result, default_rules())


def test_the_table_shows_rule_measured_interval_level_and_verdict() -> None:
    text = table(evaluate(with_share(0.062, 0.055, 0.07), default_rules()))
    line = next(line for line in text.splitlines() if line.startswith("wrong_labels"))
    assert line.split() == ["wrong_labels", "6.2%", "5.5%", "to", "7%", "5%", "FAIL"]
    assert text.splitlines()[-1] == "photos: FAIL"


def test_nothing_hostile_reaches_the_terminal() -> None:
    result = make_result(hostile=True, share_wrong=0.3)
    result.summary["dataset"]["name"] = "\x1b[2Jgone\r\n::error::x\u202e"
    text = table(evaluate(result, default_rules(), baseline_of([("h", "\x1b[31m", "keep")])))
    assert all(c == "\n" or (c.isprintable()) for c in text), [c for c in text if not c.isprintable()]
    assert not any(line.startswith("::") for line in text.splitlines())


@given(st.text())
def test_plain_text_is_one_printable_line(text: str) -> None:
    assert plain(text).isprintable() or all(c.isspace() and c not in "\r\n" for c in plain(text) if not c.isprintable())


def test_long_text_is_cut_where_it_is_said_to_be() -> None:
    assert plain("x" * 300, 200) == "x" * 197 + "..." and plain("x" * 200, 200) == "x" * 200


def test_the_gate_starts_without_torch_pydvl_or_what_else_takes_long() -> None:
    code = "import sys, auditor.gate, auditor.gate.outputs; from auditor.gate.outputs import get, names\n"
    code += "[get(n) for n in names()]\n"
    code += "loaded = set(sys.modules) | {m.split('.')[0] for m in sys.modules}\n"
    code += "print(sorted(loaded & {'torch', 'torchvision', 'pydvl', 'sklearn', 'scipy.optimize', 'scipy.stats'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_defaults_are_those_of_the_promise() -> None:
    levels = load_rules(None)["wrong_labels"]
    assert (levels.warn, levels.fail) == (0.02, 0.05)
