"""Pictures and examples for the report: they name images of the data set, and their counts leave nobody out."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import FIXTURES
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from auditor.pipeline import examples, histograms, rows, suspects, thumbnails
from auditor.result import AuditResult
from auditor.sources.base import ImageTable
from auditor.system.remembered import Remembered

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


@given(VALUES, st.integers(0, 99))
def test_a_histogram_counts_every_value_once(values: list[float], seed: int) -> None:
    numbers = np.array(values)
    mask = np.random.default_rng(seed).random(len(numbers)) < 0.5
    found = histograms.histogram(numbers, {"one": mask, "other": ~mask})
    assert len(found["edges"]) == histograms.BINS + 1 and (np.diff(found["edges"]) > 0).all()
    assert sum(found["counts"]["one"]) == mask.sum() and sum(found["counts"]["other"]) == (~mask).sum()


def test_values_lie_in_the_bin_that_counts_them() -> None:
    values = np.linspace(0, 1, 1001)
    found = histograms.histogram(values, {"all": np.ones(1001, bool)})
    for i in range(1, histograms.BINS - 1):
        low, high = found["edges"][i : i + 2]
        assert found["counts"]["all"][i] == ((values >= low) & (values < high)).sum()


def test_mentioned_finds_paths_wherever_they_are() -> None:
    nested = {"a": [{"path": "x"}, {"b": {"path": "y", "c": [{"path": "z"}]}}], "path": 3}
    assert list(thumbnails.mentioned(nested)) == ["x", "y", "z"]


def _table(read: Callable[[str], bytes], **more: Any) -> ImageTable:
    return ImageTable("t", "t", pd.DataFrame({"path": [], "label": [], "split": []}), read, **more)


def test_texts_have_excerpts_and_no_pictures() -> None:
    said = {"a": "short", "b": "long " * 1000, "c": ""}
    table = _table(lambda path: said[path].encode(), kind="text", excerpt=said.__getitem__)
    assert thumbnails.Pictures(table, 10**6).small(["a"]) == {}
    found = thumbnails.excerpts(table, ["b", "a", "c", "a"])
    assert found == {"b": ("long " * 1000)[: thumbnails.EXCERPT] + "…", "a": "short"}


def test_thumbnails_are_pictures_and_what_cannot_be_read_is_left_out() -> None:
    good = (FIXTURES / "digits" / "train" / "3" / "000.png").read_bytes()

    def read(path: str) -> bytes:
        if path == "gone":
            raise FileNotFoundError(2, "No such file", path)
        return good if path == "good" else b"text"

    found = thumbnails.Pictures(_table(read), 10**6).small(["good", "gone", "text", "good"])
    assert list(found) == ["good"]
    kind, _, data = found["good"].partition(",")
    assert kind == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (8, 8)


def test_suspects_get_pictures_large_enough_to_judge() -> None:
    photo = io.BytesIO()
    Image.linear_gradient("L").resize((400, 300)).save(photo, "PNG")
    table = _table(lambda path: photo.getvalue())
    found = thumbnails.Pictures(table, 10**6).small(["suspect", "other"], suspects=1)
    sizes = [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).size for url in found.values()]
    assert sizes == [(thumbnails.SUSPECT_EDGE, 120), (thumbnails.THUMBNAIL_EDGE, 72)]


def test_pictures_of_the_same_bytes_are_remembered_and_of_no_others(tmp_path: Path) -> None:
    shown = {}
    for name, tone in (("a", 40), ("b", 200)):
        photo = io.BytesIO()
        Image.new("RGB", (200, 100), (tone, 10, 10)).save(photo, "PNG")
        shown[name] = photo.getvalue()
    table, remembered = _table(lambda path: shown[path]), Remembered(tmp_path)
    plain = thumbnails.Pictures(table, 10**6).small(["a", "b"], suspects=1)
    one = thumbnails.Pictures(table, 10**6, ["h"], remembered)
    assert one.small(["a", "b"], suspects=1) == plain == one.small(["a", "b"], suspects=1)
    kept = sorted((tmp_path / "remembered").iterdir())
    assert len(kept) == 1
    shown["a"] = shown["b"]  # another file under the name of the first
    assert one.small(["a"], suspects=1)["a"] != plain["a"]
    kept[0].write_bytes(b"damaged")
    assert one.small(["b"]) == {"b": plain["b"]}


def test_photographs_saved_anew_stand_together_and_others_do_not(
    shared_data: Path, tmp_path: Path, run_cli: Callable[..., Any], hasty: None
) -> None:
    copies = set()
    for label in ("boats", "tables"):
        photos = sorted((shared_data / "tables-boats" / "train" / label).iterdir())[:60]
        (tmp_path / "data" / label).mkdir(parents=True)
        for number, photo in enumerate(photos):
            target = tmp_path / "data" / label / photo.name
            target.write_bytes(photo.read_bytes())
            if number % 12 == 0:
                with Image.open(photo) as image:
                    image.convert("RGB").save(target.with_name(f"copy-{photo.name}"), "JPEG", quality=70)
                copies.add(frozenset((f"{label}/{photo.name}", f"{label}/copy-{photo.name}")))
    weights = shared_data / "weights" / "resnet18-tiny170.pth"
    words = ("--weights", weights, "--repeats", "1", "--examples", "0", "--quiet")
    assert run_cli("audit", tmp_path / "data", "-o", tmp_path / "out", *words).exit_code == 0
    groups = AuditResult.load(tmp_path / "out").evidence["near_duplicates"]
    assert {frozenset(group) for group in groups} == copies


@given(st.integers(0, 10**6), st.sampled_from([-1, 0, 1, 2]))
def test_the_nearest_of_both_labels_stand_side_by_side(seed: int, suggested: int) -> None:
    rng = np.random.default_rng(seed)
    labels, similarity = rng.integers(0, 3, 30), rng.random(30).astype(np.float32)
    row = int(rng.integers(0, 30))
    similarity[row] = -np.inf
    found = suspects.nearest(similarity, labels, (labels[row], suggested)).tolist()
    by_similarity = sorted(set(range(30)) - {row}, key=lambda i: -similarity[i])
    own = [i for i in by_similarity if labels[i] == labels[row]]
    others = [
        i
        for i in by_similarity
        if (labels[i] == suggested if suggested not in (-1, labels[row]) else labels[i] != labels[row])
    ]
    assert found == own[:3] + others[:3]


def test_images_are_compared_with_all_others_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(size=(23, 6)).astype(np.float32)
    chosen = np.array([4, 0, 22])
    monkeypatch.setattr(suspects, "_CHUNK", 5)
    centred = features - features.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(suspects._similarity(features, chosen), unit[chosen] @ unit.T, atol=1e-6)


def test_evidence_names_images_of_the_data_set(finished: AuditResult) -> None:
    shown = {name: part for name, part in finished.evidence.items() if name != "thumbnails"}
    named = set(thumbnails.mentioned(list(shown.values())))
    assert named and named <= set(finished.ranking["path"])
    assert named <= set(finished.evidence["thumbnails"])
    assert all(uri.startswith("data:image/") for uri in finished.evidence["thumbnails"].values())


def test_extremes_are_training_images_of_their_class_in_order(finished: AuditResult) -> None:
    images = finished.ranking.set_index("path")
    assert [entry["label"] for entry in finished.evidence["extremes"]] == finished.classes
    for entry in finished.evidence["extremes"]:
        for end in ("highest", "lowest"):
            assert all(images.loc[image["path"], "split"] == "train" for image in entry[end])
            assert all(images.loc[image["path"], "label"] == entry["label"] for image in entry[end])
        highest, lowest = ([image["average_influence"] for image in entry[end]] for end in ("highest", "lowest"))
        assert highest == sorted(highest, reverse=True) and lowest == sorted(lowest) and lowest[0] <= highest[0]


def test_the_lowest_of_the_planted_run(finished: AuditResult) -> None:
    shown = finished.evidence["lowest_planted_run"]
    ordered = finished.planted.sort_values("influence_rank")
    assert [image["path"] for image in shown] == ordered["path"].tolist()[: len(shown)]
    truth = finished.planted.set_index("path")["planted"]
    assert all(image["planted"] == truth[image["path"]] for image in shown)


def _judged(n_classes: int, n: int, n_wrong: int, n_features: int = 512) -> tuple[Any, Any]:
    """A data set that is all test split, and a run that takes its first `n_wrong` images for the next class."""
    labels = np.arange(n) % n_classes
    predicted = np.where(np.arange(n) < n_wrong, (labels + 1) % n_classes, labels)
    certainty = np.random.default_rng(0).uniform(0.5, 1, n)
    probabilities = np.full((n, n_classes), 0.01)
    probabilities[np.arange(n), predicted] = certainty
    data = SimpleNamespace(
        labels=labels, n_classes=n_classes, features=np.zeros((n, n_features)), rows=lambda split: np.arange(n)
    )
    return data, SimpleNamespace(test_probabilities=probabilities)


def _wrong_chosen(n_classes: int, n_each: int, n_wrong: int) -> int:
    data, run = _judged(n_classes, 600, n_wrong)
    return int((examples.chosen_examples(data, run, n_each) < n_wrong).sum())


def test_every_wrong_image_is_explained_up_to_a_limit_that_examples_raises() -> None:
    assert _wrong_chosen(2, 3, 80) == _wrong_chosen(10, 3, 80) == 80
    assert _wrong_chosen(10, 3, 150) == rows.WRONG_EXAMPLES
    assert _wrong_chosen(10, 150, 150) == 150
    assert _wrong_chosen(100, 3, 150) == rows.WRONG_EXAMPLES_MANY


def test_correct_examples_come_from_the_classes_in_turn_the_typical_one_first() -> None:
    data, run = _judged(2, 40, 0)
    chosen = examples.chosen_examples(data, run, 3)
    assert data.labels[chosen].tolist() == [0, 1, 0]
    certainty = np.sort(run.test_probabilities[data.labels == 0, 0])
    assert run.test_probabilities[chosen[[0, 2]], 0].tolist() == [certainty[9], certainty[0]]


def test_examples_are_test_images_of_both_kinds(finished: AuditResult) -> None:
    splits = finished.ranking.set_index("path")["split"]
    wrong = sum(map(sum, finished.summary["model"]["clean"]["test"]["confusion"]))
    wrong -= sum(row[i] for i, row in enumerate(finished.summary["model"]["clean"]["test"]["confusion"]))
    kinds = [example["kind"] for example in finished.evidence["examples"]]
    assert "correct" in kinds and ("wrong" in kinds) == (wrong > 0)
    for example in finished.evidence["examples"]:
        assert splits[example["path"]] == "test"
        assert (example["kind"] == "correct") == (example["predicted"] == example["label"])
        for image in (*example["most"], *example["least"]):
            assert image["label"] == example["label"] and splits[image["path"]] == "train"
        most, least = ([image["influence"] for image in example[end]] for end in ("most", "least"))
        assert most == sorted(most, reverse=True) and least == sorted(least) and most[0] >= least[0]


def test_each_suspect_of_several_sittings_stands_beside_its_nearest_of_both_labels() -> None:
    rng = np.random.default_rng(0)
    n, labels = 700, rng.integers(0, 3, 700)
    data = SimpleNamespace(
        features=rng.normal(size=(n, 8)).astype(np.float32),
        labels=labels,
        paths=[f"{row}.png" for row in range(n)],
        classes=("ant", "bee", "cat"),
        n_classes=3,
        rows=lambda split: np.arange(600),
    )
    explainer = SimpleNamespace(rows_of=lambda asked, of: -np.ones((len(asked), 600), np.float32))
    order, suggested = rng.permutation(n), (labels + 1) % 3
    found = suspects.explanations(data, explainer, order, suggested)
    assert list(found) == [f"{row}.png" for row in order[:500]]
    centred = data.features - data.features.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    for row in order[:500]:
        alike = unit @ unit[row]
        alike[row] = -np.inf
        wanted = [
            f"{k}.png"
            for label in (labels[row], suggested[row])
            for k in sorted(np.flatnonzero(labels == label), key=lambda k: -alike[k])[:3]
        ]
        assert [near["path"] for near in found[f"{row}.png"]["neighbours"]] == wanted
    assert [bool(why["against"]) for why in found.values()] == [True] * 100 + [False] * 400


def test_what_speaks_for_a_label_carries_it_and_what_speaks_against_it_does_not(finished: AuditResult) -> None:
    splits = finished.ranking.set_index("path")["split"]
    labels = finished.ranking.set_index("path")["label"]
    spoken = {path: why for path, why in finished.evidence["why"].items() if why["against"] or why["in_favour"]}
    assert spoken
    for path, why in spoken.items():
        assert why["left_out"] is None
        for side, sign in (("in_favour", 1), ("against", -1)):
            for one in why[side]:
                assert one["path"] != path and splits[one["path"]] == "train" and one["without"] is None
                assert sign * one["influence"] > 0
                assert (one["label"] == labels[path]) == (side == "in_favour") and one["label"] == labels[one["path"]]
        sizes = [abs(one["influence"]) for one in why["in_favour"]]
        assert sizes == sorted(sizes, reverse=True) and len(sizes) <= 3
