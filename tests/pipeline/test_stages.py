"""A whole audit: its files agree with each other and with literal recomputation; numbers that break end in words."""

from __future__ import annotations

import dataclasses
import gc
import io
import json
import math
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import FIXTURES, needs_pydvl, other_device, tiny_backbone, tiny_network, use_tiny_network
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

import auditor
from auditor import detection, influence
from auditor.config import AuditSettings, RunSettings, settings_from
from auditor.data import features
from auditor.errors import AuditorError, ConfigError, SourceError, UndecidedError, WeightsError
from auditor.experiment.run import EngineChoice
from auditor.model import backbone, training, weights
from auditor.model.softmax_head import SoftmaxHead
from auditor.pipeline import reading, stages, summary
from auditor.pipeline.job import Job
from auditor.pipeline.summary import Made
from auditor.report.page import render
from auditor.result import PLANTED_COLUMNS, RANKING_COLUMNS, AuditResult
from auditor.sources.base import ImageTable
from auditor.system.checkpoint import Checkpoints
from auditor.system.progress import Progress

pytestmark = pytest.mark.usefixtures("tiny")

QUICK = AuditSettings(weights="none", repeats=1, epochs=10, examples=1, thumbnails=5)

# What the files of an audit say


def test_every_labelled_image_stands_in_the_ranking_once(finished: AuditResult) -> None:
    ranking = finished.ranking
    of_oddities = [one["column"]["name"] for one in finished.summary["oddities"] if one["column"] is not None]
    assert tuple(ranking.columns) == (*RANKING_COLUMNS, *of_oddities) and "strangeness" in of_oddities
    expected = sorted(str(p.relative_to(FIXTURES / "digits")) for p in (FIXTURES / "digits").rglob("*.png"))
    assert sorted(ranking["path"]) == expected
    for row in ranking.itertuples():
        split, label, _ = row.path.split("/")
        assert (row.split, row.label) == (split, label)


def test_ranks_order_by_suspicion_and_ties_by_path(finished: AuditResult) -> None:
    for frame in (finished.ranking, finished.planted):
        ranked = frame[frame["rank"].notna()]
        assert ranked["rank"].tolist() == list(range(1, len(ranked) + 1)), "the file is in the order of its ranks"
        keys = list(zip(-ranked["suspicion"], ranked["path"], strict=True))
        assert keys == sorted(keys)
        assert frame["rank"].isna().sum() == 0 or frame["rank"].isna().to_numpy()[len(ranked) :].all()


def test_influence_rank_orders_by_negative_average_influence(finished: AuditResult) -> None:
    for frame in (finished.ranking, finished.planted):
        ranked = frame[frame["influence_rank"].notna()].sort_values("influence_rank")
        assert ranked["influence_rank"].tolist() == list(range(1, len(ranked) + 1))
        keys = list(zip(ranked["average_influence"], ranked["path"], strict=True))
        assert keys == sorted(keys)


def test_every_number_is_finite_or_absent_by_promise(finished: AuditResult) -> None:
    train = finished.ranking["split"] == "train"
    assert np.isfinite(finished.ranking.loc[train, ["average_influence", "suspicion"]].astype(float)).all(axis=None)
    assert np.isfinite(finished.planted[["average_influence", "suspicion"]].astype(float)).all(axis=None)
    probability = finished.ranking["p_mislabelled"].dropna()
    assert ((probability >= 0) & (probability <= 1)).all()


def test_suggestions_are_other_classes(finished: AuditResult) -> None:
    suggested = finished.ranking[finished.ranking["suggested_label"] != ""]
    assert set(suggested["suggested_label"]) <= set(finished.classes)
    assert (suggested["suggested_label"] != suggested["label"]).all()


def test_planted_is_the_training_split_with_the_asked_share_flipped(finished: AuditResult) -> None:
    planted, ranking = finished.planted, finished.ranking
    assert tuple(planted.columns) == PLANTED_COLUMNS
    train = ranking[ranking["split"] == "train"]
    assert sorted(planted["path"]) == sorted(train["path"])
    given = planted.merge(train[["path", "label"]], on="path", suffixes=("", "_given"))
    assert (given["label"] == given["label_given"]).all()
    assert ((planted["label"] != planted["trained_label"]) == planted["planted"]).all()
    assert planted["planted"].sum() == round(0.1 * len(planted))


def test_recovery_is_what_the_rows_of_planted_give(finished: AuditResult) -> None:
    document = finished.summary["recovery"]
    planted = finished.planted
    assert document["n"] == len(planted) and document["n_planted"] == planted["planted"].sum()
    flags, scores = planted["planted"].to_numpy(bool), -planted["average_influence"].to_numpy()
    figures = document["rankings"]["influence"]
    assert figures["average_precision"]["value"] == pytest.approx(average_precision_score(flags, scores))
    assert figures["auroc"]["value"] == pytest.approx(roc_auc_score(flags, scores))
    order = np.argsort(-scores, kind="stable")
    k = int(flags.sum())
    assert figures["precision_at_k"]["value"] == pytest.approx(flags[order][:k].mean())
    for entry in figures["found"]:
        first = math.floor(entry["inspected"] * len(flags) + 1e-9)
        assert entry["share"] == pytest.approx(flags[order][:first].sum() / k)


def test_the_table_by_class_is_the_mean_of_the_rows(finished: AuditResult) -> None:
    planted = finished.planted
    for row in finished.summary["recovery"]["by_class"]:
        own = planted[planted["trained_label"] == row["label"]]
        noisy, clean = own[own["planted"]], own[~own["planted"]]
        assert (row["n_planted"], row["n_clean"]) == (len(noisy), len(clean))
        assert row["mean_planted"] == pytest.approx(noisy["average_influence"].mean(), rel=1e-6)
        assert row["mean_clean"] == pytest.approx(clean["average_influence"].mean(), rel=1e-6)
        assert row["mean_planted"] < row["mean_clean"], "planted points lie below clean ones"


def test_planted_noise_is_found_far_better_than_by_chance(finished: AuditResult) -> None:
    rankings = finished.summary["recovery"]["rankings"]
    chance = rankings["random"]["auroc"]
    assert rankings["influence"]["auroc"]["value"] > chance["interval"][1]


def test_the_summary_says_what_was_done(finished: AuditResult) -> None:
    summary = finished.summary
    data = summary["dataset"]
    assert data["n_images"] == len(finished.ranking) == sum(data["counts"].values()) == sum(data["splits"].values())
    assert data["split_origin"] == "source" and set(data["hashes"]) == set(finished.ranking["path"])
    assert summary["settings"]["seed"] == 0 and summary["settings"]["repeats"] == 1
    assert summary["model"]["architecture"] == "resnet18" and summary["influence"]["solves"]
    assert all(math.isfinite(solve["relative_residual"]) for solve in summary["influence"]["solves"])
    for part in ("clean", "corrupted"):
        fit = summary["model"][part]
        assert len(fit["loss"]["train"]) == 20
        assert sum(map(sum, fit["test"]["confusion"])) == fit["test"]["n"] == data["splits"]["test"]
    assert {"torch", "pydvl", "python", "auditor"} <= set(summary["versions"])
    assert all(seconds >= 0 for seconds in summary["stages"].values())


# Another device


def test_a_pass_in_bfloat16_is_said_and_finds_nearly_the_same(tmp_path: Path) -> None:
    settings = [dataclasses.replace(QUICK, dtype=dtype) for dtype in ("float32", "bfloat16")]
    exact, fast = (stages.audit(FIXTURES / "digits", one) for one in settings)
    assert [one.summary["run"]["dtype"] for one in (exact, fast)] == ["float32", "bfloat16"]
    both = exact.ranking.merge(fast.ranking, on="path")
    assert not np.array_equal(both["suspicion_x"], both["suspicion_y"])
    assert both[["suspicion_x", "suspicion_y"]].corr("spearman").iloc[0, 1] > 0.9


@pytest.mark.parametrize("train", ["head", "layers:layer4,fc"])
def test_another_device_gives_the_same_audit_every_time(train: str, tmp_path: Path) -> None:
    device = other_device()
    settings = dataclasses.replace(QUICK, train=train, epochs=3)
    here, there, again = (
        stages.audit(FIXTURES / "digits", settings, RunSettings(device=d, cache=str(tmp_path / name)))
        for name, d in (("a", "cpu"), ("b", device), ("c", device))
    )
    assert there.summary["run"]["device"] == device
    left, right = (result.ranking.set_index("path").sort_index() for result in (here, there))
    for column in ("average_influence", "suspicion"):
        assert left[column].corr(right[column], method="spearman") > 0.999
    pd.testing.assert_frame_equal(there.ranking, again.ranking)
    pd.testing.assert_frame_equal(there.planted, again.planted)


def test_every_stage_is_told_the_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both detections and both heads; what they do there is tested where there is another device."""
    told: list[str] = []

    def spied(work: Callable[..., Any]) -> Callable[..., Any]:
        def spy(*given: Any, device: str = "not told", **named: Any) -> Any:
            told.append(device)
            return work(*given, device=device, **named)

        return spy

    for place, name in (
        (detection, "detect"),
        (detection, "Scorer"),
        (training, "train_head"),
        (SoftmaxHead, "train"),
        (influence, "engine"),
    ):
        monkeypatch.setattr(place, name, spied(getattr(place, name)))
    stages.audit(FIXTURES / "digits", QUICK, RunSettings(device="cpu", cache=str(tmp_path)))
    assert len(told) > 5 and set(told) == {"cpu"}


# Memory


def test_no_more_than_one_engine_is_held_and_none_beside_the_plantings_suspicion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An engine holds the training features; so do the bases that suspicion rests on, and the network is done with."""
    opened: list[weakref.ref[Any]] = []
    held: list[int] = []

    def alive() -> int:
        gc.collect()
        return sum(one() is not None for one in opened)

    def counting(self: EngineChoice, *given: Any, **named: Any) -> Any:
        held.append(alive())
        engine = real_open(self, *given, **named)
        opened.append(weakref.ref(engine))
        return engine

    def looking(*given: Any, **named: Any) -> Any:
        held.append(alive())
        return real_scorer(*given, **named)

    real_open, real_scorer = EngineChoice.open, detection.Scorer
    monkeypatch.setattr(EngineChoice, "open", counting)
    monkeypatch.setattr(detection, "Scorer", looking)
    made: list[Made] = []
    real_document = summary.document
    monkeypatch.setattr(summary, "document", lambda *given: made.append(given[0]) or real_document(*given))
    stages.audit(FIXTURES / "digits", dataclasses.replace(QUICK, repeats=2))
    assert len(opened) == 3 and held == [0, 0, 0, 0]
    assert made[0].inputs.backbone is None and made[0].inputs.encoder.weights == "none"


# The matrix


@needs_pydvl
def test_an_audit_killed_after_its_matrix_goes_on_and_a_foreign_one_is_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "matrix.zarr"
    run = RunSettings(cache=str(tmp_path / "cache"), save_matrix=str(path))

    def audited() -> AuditResult:
        return stages.audit(FIXTURES / "digits", QUICK, run, kept=Checkpoints(tmp_path / "cache"))

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stages, "gather_evidence", killed)
        with pytest.raises(KeyboardInterrupt):
            audited()
    written = {p: p.stat().st_mtime_ns for p in path.rglob("*")}
    assert written
    audited()
    assert {p: p.stat().st_mtime_ns for p in path.rglob("*")} == written
    (path / "zarr.json").write_text("{}")
    monkeypatch.setattr(reading, "open_table", killed)
    with pytest.raises(ConfigError, match="exists already"):
        audited()


# From Python


def test_the_python_door_gives_what_the_command_gives(finished: AuditResult, tmp_path: Path) -> None:
    result = auditor.audit(
        FIXTURES / "digits",
        weights="none",
        train="head",
        repeats=1,
        epochs=20,
        examples=1,
        thumbnails=20,
        out=tmp_path / "out",
    )
    again = AuditResult.load(tmp_path / "out")
    pd.testing.assert_frame_equal(again.ranking, finished.ranking)
    pd.testing.assert_frame_equal(again.planted, finished.planted)
    assert result.audit_id == again.audit_id and (tmp_path / "out" / "report.html").is_file()


def test_the_python_door_checks_its_settings_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown setting 'nose'"):
        auditor.audit("digits", nose=1)
    with pytest.raises(SourceError):
        auditor.audit(tmp_path / "none", out=tmp_path / "out", weights="none")
    assert not (tmp_path / "out").exists()


def test_a_manifest_of_the_same_images_gives_the_same_ranking(finished: AuditResult) -> None:
    result = stages.audit(
        str(FIXTURES / "digits" / "labels.csv"),
        dataclasses.replace(QUICK, epochs=20, thumbnails=20),
        RunSettings(quiet=True),
    )
    columns = ["path", "split", "label", "average_influence"]
    pd.testing.assert_frame_equal(
        result.ranking[columns].sort_values("path", ignore_index=True),
        finished.ranking[columns].sort_values("path", ignore_index=True),
        rtol=1e-6,
        check_dtype=False,
    )


# Numbers that break


def _square(level: int, noise: int = 0, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    pixels = np.clip(level + rng.integers(-noise, noise + 1, (8, 8)), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _table(images: list[tuple[str, bytes]], splits: list[str] | None = None) -> ImageTable:
    data = {f"{i:05d}.png": content for i, (_, content) in enumerate(images)}
    frame = pd.DataFrame({"path": list(data), "label": [label for label, _ in images], "split": splits or ""})
    return ImageTable("synthetic", "synthetic", frame, data.__getitem__)


def _equal() -> ImageTable:
    return _table([("a" if i % 2 else "b", _square(100, 30)) for i in range(40)])


def _black() -> ImageTable:
    return _table([("a" if i % 2 else "b", _square(0)) for i in range(40)])


def _separable() -> ImageTable:
    return _table([("dark", _square(20, 10, i)) if i % 2 else ("light", _square(230, 10, i)) for i in range(60)])


def _all_wrong() -> ImageTable:
    """The training labels say the opposite of the test labels."""
    rows, splits = [], []
    for i in range(60):
        dark, test = i % 2 == 0, i >= 48
        rows.append(("dark" if dark == test else "light", _square(20 if dark else 230, 10, i)))
        splits.append("test" if test else "train")
    return _table(rows, splits)


def _lopsided() -> ImageTable:
    return _table([("rare", _square(230, 10, i)) if i < 3 else ("usual", _square(60, 40, i)) for i in range(400)])


def _four() -> ImageTable:
    return _table([("a", _square(20)), ("b", _square(230)), ("a", _square(30)), ("b", _square(220))])


def _four_split() -> ImageTable:
    rows = [("a", _square(20)), ("b", _square(230)), ("a", _square(30)), ("b", _square(220))]
    return _table(rows, ["train", "train", "test", "test"])


def _pairs() -> ImageTable:
    """C = N / 2: two training images a class, one of each class to test."""
    rows, splits = [], []
    for c in range(5):
        for k, split in enumerate(("train", "train", "test")):
            rows.append((f"class {c}", _square(10 + 50 * c, 5, 10 * c + k)))
            splits.append(split)
    return _table(rows, splits)


BREAKING: dict[str, tuple[Callable[[], ImageTable], type[AuditorError] | None]] = {
    "all features equal": (_equal, None),
    "nothing to see": (_black, UndecidedError),
    "perfectly separable": (_separable, None),
    "labels all wrong": (_all_wrong, None),
    "one class 99.3%": (_lopsided, None),
    "N = 4 without a split": (_four, SourceError),
    "N = 4 with a split": (_four_split, UndecidedError),
    "C = N / 2": (_pairs, None),
}


def _strict_json(document: Any) -> str:
    return json.dumps(document, allow_nan=False)


@pytest.mark.parametrize("case", BREAKING)
def test_numbers_that_break(case: str, tmp_path: Path) -> None:
    """A right answer, or an error in words with a code of its own; never a traceback or a NaN in the files."""
    make, error = BREAKING[case]
    if error is not None:
        with pytest.raises(error) as caught:
            stages.audit(make(), QUICK)
        assert caught.value.hint
        return
    result = stages.audit(make(), QUICK)
    _strict_json([result.summary, result.evidence])
    result.save(tmp_path)
    again = AuditResult.load(tmp_path)
    train = again.ranking["split"] == "train"
    assert np.isfinite(again.ranking.loc[train, ["average_influence", "suspicion"]].astype(float)).all(axis=None)
    assert np.isfinite(again.planted[["average_influence", "suspicion"]].astype(float)).all(axis=None)
    from auditor.report.page import write_report

    page = Path(write_report(again, tmp_path)).read_text(encoding="utf-8")
    assert "</html>" in page and ">nan<" not in page.lower()


def test_influential_noise_on_classes_too_small_is_refused_before_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("searched")

    monkeypatch.setattr(detection, "detect", never)
    with pytest.raises(UndecidedError, match="no class has more than 2"):
        stages.audit(_pairs(), dataclasses.replace(QUICK, noise="influential"))


def test_separable_classes_give_up_what_was_planted() -> None:
    result = stages.audit(_separable(), QUICK)
    rankings = result.summary["recovery"]["rankings"]
    assert rankings["influence"]["auroc"]["value"] > 0.95 and rankings["suspicion"]["auroc"]["value"] > 0.95


def test_wrong_labels_beside_the_planted_ones_are_said_to_lower_recovery() -> None:
    given = [("dark" if i % 2 else "light", _square(20 if i % 2 else 230, 10, i)) for i in range(240)]
    other = {"dark": "light", "light": "dark"}
    swapped = [(other[label] if i % 10 < 3 else label, content) for i, (label, content) in enumerate(given)]
    clean, dirty = (stages.audit(_table(images), QUICK).summary for images in (given, swapped))
    assert not any("wrong already" in note for note in clean["notes"])
    said = [note for note in dirty["notes"] if "wrong already" in note]
    share = dirty["calibration"]["share"]["value"]
    assert [note.split(" of ")[0] for note in said] == [f"About {share:.0%}"]


def test_labels_that_are_all_wrong_speak_against_the_reference() -> None:
    """The model learns the opposite of the test labels: it gets them all wrong, and no training point is helpful."""
    result = stages.audit(_all_wrong(), dataclasses.replace(QUICK, epochs=200, learning_rate=0.02))
    assert result.summary["model"]["clean"]["test"]["accuracy"] < 0.1
    for entry in result.evidence["extremes"]:
        assert all(image["average_influence"] < 0 for image in (*entry["highest"], *entry["lowest"]))


def test_features_all_equal_say_nothing_about_single_points() -> None:
    """Nothing distinguishes points of a class but chance: the audit must not claim that it found much."""
    figures = stages.audit(_equal(), QUICK).summary["recovery"]["rankings"]
    assert figures["influence"]["auroc"]["interval"][0] <= 0.75
    assert figures["suspicion"]["auroc"]["interval"][0] <= 0.75


class _Overflowing(torch.nn.Module):
    """Infinite where an image's activations reach a limit, as a sum does that leaves the range of its numbers."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(x.mean(dim=(1, 2, 3), keepdim=True) >= self.limit, torch.inf, x)


def _grey_with_two_white() -> ImageTable:
    grey = [("a" if i % 2 else "b", _square(118, 12, i)) for i in range(60)]
    return _table([*grey, ("a", _square(255)), ("b", _square(255, 0))])


@pytest.mark.parametrize("n_bad", [2, 62])
def test_features_that_are_not_finite_are_left_out_or_the_weights_are_refused(
    random_weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, n_bad: int
) -> None:
    table, settings = _grey_with_two_white(), dataclasses.replace(QUICK, weights=str(random_weights), image_size="8")
    pixels = np.stack([np.array(Image.open(io.BytesIO(table.read(p))).convert("RGB")) for p in table.frame["path"]])
    kind = tiny_backbone()
    loaded = weights.load_weights(str(random_weights), kind)
    transform = backbone.Transform(8, *kind.normalisation("default", loaded))
    seen = features.forward(kind.extractor(tiny_network(2, 0)), transform, pixels)[:, -kind.n_features :]
    limit = float(seen.mean(axis=1)[60:].min()) * 0.9 if n_bad == 2 else -1.0
    assert (seen.mean(axis=1) >= limit).sum() == n_bad

    def build(n_classes: int, seed: int) -> Any:
        network = tiny_network(n_classes, seed)
        network.layer4.append(_Overflowing(limit))
        return network

    use_tiny_network(monkeypatch, tiny_backbone(build))
    run = RunSettings(cache=str(tmp_path))
    if n_bad == 62:
        words = r"\(random\.pth\) gives NaN or infinite features for 62 of 62 images of synthetic; the first"
        with pytest.raises(WeightsError, match=words):
            stages.audit(table, settings, run)
        return
    for _ in range(2):  # the second time from the cache
        result = stages.audit(table, settings, run)
        assert result.summary["dataset"]["skipped"] == [
            {"path": path, "reason": "the backbone gives NaN or infinite features for it"}
            for path in ("00060.png", "00061.png")
        ]
        assert len(result.ranking) == 60


def test_a_reference_passes_through_the_very_backbone_of_the_data_set() -> None:
    from auditor.data import reopening
    from auditor.pipeline import reading

    settings, run = settings_from({"weights": "none", "classes": "3,8", "reference": str(FIXTURES / "digits")})
    table = reading.open_table("digits", settings)
    reader = reading.open_reader(table, Job(settings, run, Progress(quiet=True), Checkpoints(None)))
    reader, data = reader.dataset(table, lambda done, total: None)
    before = {name: value.clone() for name, value in reader.backbone.network.state_dict().items()}
    reader.reference(reopening.open_trusted(settings, table.kind), data, lambda done, total: None)
    after = reader.backbone.network.state_dict()
    assert all(bool((after[name] == value).all()) for name, value in before.items())


def _digits_with_some_held_by_a_reference(tmp_path: Path, wrong: int) -> tuple[Path, Path]:
    """The digits, and a reference that holds 40 of them, `wrong` under the other label, and one image twice."""
    data, trusted = tmp_path / "data", tmp_path / "trusted"
    shutil.copytree(FIXTURES / "digits" / "train", data)
    held = sorted(data.rglob("*.png"))[::3][:40]
    other = {"3": "8", "8": "3"}
    for i, path in enumerate(held):
        label = other[path.parent.name] if i < wrong else path.parent.name
        (trusted / label).mkdir(parents=True, exist_ok=True)
        if i % 2:
            shutil.copy(path, trusted / label / f"mine-{i}.png")
        else:  # equal pixels in another kind of file
            Image.open(path).save(trusted / label / f"mine-{i}.bmp")
    spare = next(path for path in sorted(data.rglob("*.png")) if path not in held)
    for label in other:
        shutil.copy(spare, trusted / label / "both.png")
    return data, trusted


def test_a_reference_of_the_audited_images_themselves_settles_them(tmp_path: Path) -> None:
    """What the very same file is under the reference's word needs no estimate, and must not be waved through."""
    data, trusted = _digits_with_some_held_by_a_reference(tmp_path, wrong=6)
    told: list[str] = []
    progress = Progress(quiet=True)
    progress.say = told.append  # type: ignore[method-assign]
    result = stages.audit(str(data), dataclasses.replace(QUICK, reference=str(trusted)), progress=progress)
    settled = result.summary["reference"]["settled"]
    assert settled["n"] == 40 and len(settled["wrong"]) == 6
    assert "  40 images are in the reference itself, 6 of them under another label" in told
    first = result.ranking.head(6)
    assert sorted(first["path"]) == sorted(entry["path"] for entry in settled["wrong"])
    assert (first["split"] == "reference").all() and (first["suggested_label"] != first["label"]).all()
    right = result.ranking[result.ranking["rank"].isna()]
    assert len(right) == 34 and (right["split"] == "reference").all() and (right["suggested_label"] == "").all()
    assert not set(result.planted["path"]) & set(result.ranking.loc[result.ranking["split"] == "reference", "path"])
    calibration = result.summary["calibration"]
    if calibration["decided"]:
        assert calibration["count"]["interval"][0] >= 6 and (first["p_mislabelled"] == 1).all()
    else:
        assert "The reference itself contradicts the labels of 6 images" in calibration["reason"]
    notes = " ".join(result.summary["notes"])
    assert "if the reference is right, 6 are certainly wrong and 34 are right" in notes
    assert "2 reference images are copies of each other under different labels and were left out" in notes
    assert result.summary["reference"]["n"] == 40
    page = render(result)
    assert "Images that the reference holds under another label (6)" in page


def test_the_study_ranks_what_a_reference_settles_as_wrong_first(tmp_path: Path) -> None:
    data, trusted = _digits_with_some_held_by_a_reference(tmp_path, wrong=6)
    settings = settings_from({"weights": "none", "preset": "study", "engine": "auto", "epochs": 2, "examples": 1})[0]
    for path in (*data.rglob("*.*"), *trusted.rglob("*.*")):  # the study drops grey-scale images
        Image.open(path).convert("RGB").save(path)
    result = stages.audit(str(data), dataclasses.replace(settings, reference=str(trusted)))
    first = result.ranking.head(6)
    assert (first["split"] == "reference").all() and (first["suggested_label"] != first["label"]).all()
    assert result.ranking["rank"].notna().sum() == 6 + (result.ranking["split"] == "train").sum()


def test_influence_orders_the_list_where_it_is_asked_to() -> None:
    settings = dataclasses.replace(QUICK, rank_by="influence", repeats=1)
    result = stages.audit(str(FIXTURES / "digits"), settings)
    assert (result.ranking["rank"] == result.ranking["influence_rank"]).all()
    assert (result.planted["rank"] == result.planted["influence_rank"]).all()
    assert result.summary["recovery"]["rankings"]["listed"] == "influence"
    assert "lowest average influence" in render(result)


def test_a_reference_of_all_audited_images_is_refused_with_what_it_contradicts(tmp_path: Path) -> None:
    """160 digits under swapped labels once ended in "at most 3 are probably wrong"."""
    data, trusted = tmp_path / "data", tmp_path / "trusted"
    shutil.copytree(FIXTURES / "digits" / "train", data)
    shutil.copytree(data, trusted)
    for old, new in (("3", "x"), ("8", "3"), ("x", "8")):
        (trusted / old).rename(trusted / new)
    n = len(list(data.rglob("*.png")))
    said = rf"holds {n} of the {n} images of data themselves, {n} of them under another"
    with pytest.raises(SourceError, match=said):
        stages.audit(str(data), dataclasses.replace(QUICK, reference=str(trusted)))


def test_a_reference_that_contradicts_itself_everywhere_is_refused(tmp_path: Path) -> None:
    picture = next((FIXTURES / "digits" / "train" / "3").iterdir())
    for label in ("3", "8"):
        (tmp_path / label).mkdir()
        shutil.copy(picture, tmp_path / label / "one.png")
    with pytest.raises(SourceError, match=r"every image of the reference .* stands there under several labels"):
        stages.audit(str(FIXTURES / "digits"), dataclasses.replace(QUICK, reference=str(tmp_path)))


def test_many_classes_get_fewer_rows_and_the_result_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dataclasses.replace(QUICK, examples=3)
    usual = stages.audit(FIXTURES / "digits", settings)
    monkeypatch.setattr("auditor.pipeline.rows.DENSE_CLASSES", 1)
    monkeypatch.setattr("auditor.pipeline.rows.MANY_CLASSES", 1)
    monkeypatch.setattr("auditor.pipeline.rows.ROW_NUMBERS", 1)
    few = stages.audit(FIXTURES / "digits", settings)
    assert len(few.evidence["examples"]) == 1 < len(usual.evidence["examples"])
    assert {e["kind"] for e in few.evidence["examples"]} <= {e["kind"] for e in usual.evidence["examples"]}
    assert sum(bool(why["against"]) for why in few.evidence["why"].values()) <= 1
    said = [note for note in few.summary["notes"] if "row of the influence matrix" in note]
    assert len(said) == 1 and "No more than 1 of the examples has one, and no more than 1 of the suspects" in said[0]
    assert not any("row of the influence matrix" in note for note in usual.summary["notes"])
    pd.testing.assert_frame_equal(few.ranking, usual.ranking)
