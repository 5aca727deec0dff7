"""The closed-form engine against brute force: a dense Hessian by automatic differentiation in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.compute import linear
from auditor.compute.linear import eigen
from auditor.errors import EngineError
from auditor.influence import HeadProblem, engine
from auditor.influence.class_basis import class_basis
from auditor.influence.closed_form import ClosedForm
from auditor.influence.head import LinearHead, from_flat, to_flat
from auditor.model.softmax_head import SoftmaxHead


def make(n_points: int, n_classes: int, n_features: int, seed: int, n_reference: int = 5, dtype=np.float64):
    """A random head with labels that partly follow it, and reference points."""
    rng = np.random.default_rng(seed)
    weight, bias = rng.normal(size=(n_classes, n_features)), rng.normal(size=n_classes)

    def points(n):
        x = rng.normal(size=(n, n_features)).astype(dtype)
        return x, rng.integers(0, n_classes, n)

    x, y = points(n_points)
    return HeadProblem(x, y, weight, bias), *points(n_reference)


def brute_force(problem: HeadProblem, x, y, damping: float):
    """([n, N] influence matrix, [N] self-influence) from explicit gradients and Hessian of `nn.Linear`'s loss."""
    weight = torch.from_numpy(np.asarray(problem.weight, dtype=np.float64))
    theta = torch.cat([weight.flatten(), torch.from_numpy(np.asarray(problem.bias, dtype=np.float64))])

    def loss(t, features, labels):
        w, b = t[: weight.numel()].view_as(weight), t[weight.numel() :]
        return torch.nn.functional.cross_entropy(features @ w.T + b, labels)

    def gradients(features, labels):
        f, lab = torch.from_numpy(np.asarray(features, dtype=np.float64)), torch.from_numpy(np.asarray(labels))
        return torch.stack([torch.func.grad(loss)(theta, f[i : i + 1], lab[i : i + 1]) for i in range(len(lab))])

    features = torch.from_numpy(np.asarray(problem.features, dtype=np.float64))
    hessian = torch.func.hessian(loss)(theta, features, torch.from_numpy(problem.labels))
    inverse = torch.linalg.inv(hessian + damping * torch.eye(len(theta), dtype=torch.float64))
    g_train = gradients(problem.features, problem.labels)
    matrix = gradients(x, y) @ inverse @ g_train.T
    return matrix.numpy(), torch.einsum("np,pq,nq->n", g_train, inverse, g_train).numpy()


@settings(max_examples=25, deadline=None)
@given(
    n_points=st.integers(1, 30),
    n_classes=st.integers(2, 5),
    n_features=st.integers(1, 6),
    damping=st.sampled_from([1e-3, 0.1, 3.0]),
    dense=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_agrees_with_brute_force(n_points, n_classes, n_features, damping, dense, seed):
    problem, x, y = make(n_points, n_classes, n_features, seed)
    matrix, self_influence = brute_force(problem, x, y, damping)
    found = ClosedForm(problem, damping, dense=dense)
    scale = np.abs(matrix).max() + 1e-12
    np.testing.assert_allclose(found.rows(x, y), matrix, atol=1e-6 * scale)
    np.testing.assert_allclose(found.average(x, y), matrix.mean(0), atol=1e-6 * scale)
    np.testing.assert_allclose(found.self_influence(), self_influence, rtol=1e-6, atol=1e-9)
    assert all(s.converged and s.relative_residual <= 1e-8 and s.damping == damping for s in found.solves)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), split=st.integers(1, 8), n_classes=st.integers(2, 4))
def test_linear_in_the_reference_set(seed, split, n_classes):
    problem, x, y = make(20, n_classes, 4, seed, n_reference=9)
    found = engine(problem, "auto", 0.05)
    parts = split * found.average(x[:split], y[:split]) + (9 - split) * found.average(x[split:], y[split:])
    np.testing.assert_allclose(parts / 9, found.average(x, y), atol=1e-9)
    by_class = found.average_by_class(x, y, n_classes)
    np.testing.assert_allclose(np.bincount(y, minlength=n_classes) / 9 @ by_class, found.average(x, y), atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), dense=st.booleans())
def test_permutations_change_nothing(seed, dense):
    problem, x, y = make(25, 3, 4, seed, n_reference=6)
    rng = np.random.default_rng(seed)
    order, reference_order = rng.permutation(25), rng.permutation(6)
    shuffled = HeadProblem(problem.features[order], problem.labels[order], problem.weight, problem.bias)
    found = ClosedForm(problem, 0.1, dense=dense).average(x, y)
    again = ClosedForm(shuffled, 0.1, dense=dense).average(x[reference_order], y[reference_order])
    np.testing.assert_allclose(again, found[order], atol=1e-8)


@pytest.mark.parametrize("dense", [True, False])
def test_several_dampings_at_once(dense):
    problem, x, y = make(40, 4, 5, 3)
    dampings = [1e-3, 0.1, 2.0]
    many = ClosedForm(problem, 0.1, dense=dense)
    together = many.average_many(x, y, dampings)
    for row, damping in zip(together, dampings, strict=True):
        alone = ClosedForm(problem, damping, dense=dense).average(x, y)
        np.testing.assert_allclose(row, alone, atol=1e-7 * np.abs(alone).max())
        np.testing.assert_allclose(many.with_damping(damping).average(x, y), alone, atol=1e-7 * np.abs(alone).max())
    assert [s.damping for s in many.solves] == dampings


def test_one_damping_after_another_passes_from_cholesky_to_eigenvectors():
    problem, x, y = make(40, 3, 5, 8)
    first = ClosedForm(problem, 0.1, dense=True)
    for damping in (0.1, 0.2, 0.3, 0.4, 0.1, 5.0):
        other = first.with_damping(damping)
        matrix, self_influence = brute_force(problem, x, y, damping)
        np.testing.assert_allclose(other.rows(x, y), matrix, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(other.self_influence(), self_influence, rtol=1e-7)


def test_a_damping_too_small_for_cholesky_still_answers():
    problem, x, y = make(3, 3, 6, 8)
    found = ClosedForm(problem, 1e-18, dense=True)
    assert np.isfinite(found.average(x, y)).all() and np.isfinite(found.self_influence()).all()
    assert len(found.solves) == 1


def test_chunked_features_and_memory_map_give_the_same(tmp_path, monkeypatch):
    problem, x, y = make(500, 3, 8, 1, dtype=np.float32)
    expected = engine(problem, "auto", 0.1).average(x, y)
    np.save(tmp_path / "features.npy", problem.features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r", allow_pickle=False)
    monkeypatch.setattr("auditor.influence.head.RESIDENT_BYTES", 0)
    monkeypatch.setattr("auditor.influence.head._CHUNK_BYTES", 1)
    for dense in (True, False):
        chunked = ClosedForm(HeadProblem(mapped, problem.labels, problem.weight, problem.bias), 0.1, dense=dense)
        assert len(list(chunked.head.chunks(1))) == 8
        np.testing.assert_allclose(chunked.average(x, y), expected, atol=1e-8)


def test_rows_in_blocks(monkeypatch):
    problem, x, y = make(30, 3, 4, 5, n_reference=7)
    expected = engine(problem, "auto", 0.1).rows(x, y)
    monkeypatch.setattr("auditor.influence.closed_form._BLOCK_NUMBERS", 2 * 15)
    blocked = engine(problem, "auto", 0.1)
    np.testing.assert_allclose(blocked.rows(x, y), expected, atol=1e-12)
    assert [s.right_hand_sides for s in blocked.solves] == [2, 2, 2, 1]


def test_eigenvectors_that_lapack_does_not_find_in_single_precision_are_found_in_double(monkeypatch):
    problem, x, y = make(20, 3, 30, 4)
    expected = ClosedForm(problem, 0.3, dense=False).rows(x, y)
    found, asked = torch.linalg.eigh, []

    def fails_in_single(matrix):
        asked.append(matrix.dtype)
        if matrix.dtype == torch.float32:
            raise torch.linalg.LinAlgError("linalg.eigh: The algorithm failed to converge")
        return found(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", fails_in_single)
    other = ClosedForm(problem, 0.3, dense=False)
    np.testing.assert_allclose(other.rows(x, y), expected, rtol=1e-6, atol=1e-9)
    assert torch.float64 in asked and all(solve.converged and solve.iterations < 30 for solve in other.solves)
    features = torch.as_tensor(problem.features, dtype=torch.float32)  # fewer points than features: zeros among them
    moments = features.T @ features / len(features)
    vectors = eigen(moments)[1]
    diagonal = vectors.T @ moments @ vectors
    torch.testing.assert_close(diagonal, torch.diag(diagonal.diagonal()), atol=1e-5, rtol=0)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(len(vectors)), atol=1e-5, rtol=0)


def test_what_features_alone_decide_is_found_once_for_all_heads_on_them(monkeypatch):
    problem, x, y = make(60, 3, 8, 6)
    asked = []
    found = torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda matrix: asked.append(len(matrix)) or found(matrix))
    shared = {}
    for labels in (problem.labels, (problem.labels + 1) % 3):
        for damping in (0.1, 0.3):
            plain, sharing = (
                ClosedForm(
                    HeadProblem(problem.features, labels, problem.weight, problem.bias, *more), damping, dense=False
                )
                for more in ((), (shared,))
            )
            np.testing.assert_array_equal(sharing.average(x, y), plain.average(x, y))
    assert asked.count(9) == 4 + 1 and asked.count(3) == 8, "features' vectors once, classes' for every head"


def test_many_classes_and_few_images_go_without_a_preconditioner(monkeypatch):
    problem, x, y = make(40, 6, 12, 5)
    told = []
    usual = ClosedForm(problem, 0.3, dense=False, listener=lambda text, done, total: told.append((done, total)))
    expected = usual.rows(x, y)
    assert told[-1] == (100, 100) and [done for done, _ in told] == sorted(done for done, _ in told)
    monkeypatch.setattr("auditor.influence.closed_form.MANY_CLASSES", 5)
    monkeypatch.setattr("auditor.influence.closed_form.KroneckerBasis", None)  # never asked for
    for n_points in (18, 12):  # fewer than classes and columns together
        few = HeadProblem(problem.features[:n_points], problem.labels[:n_points], problem.weight, problem.bias)
        dense = ClosedForm(few, 0.3, dense=True).rows(x, y)
        found = ClosedForm(few, 0.3, dense=False)
        np.testing.assert_allclose(found.rows(x, y), dense, rtol=1e-6, atol=1e-9)
        assert all(solve.converged for solve in found.solves)
    assert expected.shape == (len(y), 40)


def test_self_influence_without_a_dense_hessian_is_close_and_says_so(monkeypatch):
    problem, _, _ = make(400, 4, 10, 2)
    exact = ClosedForm(problem, 0.1, dense=True)
    monkeypatch.setattr("auditor.influence.closed_form.EXACT_SELF_LIMIT", 0)
    approximate = ClosedForm(problem, 0.1, dense=False)
    truth, found = exact.self_influence(), approximate.self_influence()
    assert np.corrcoef(truth, found)[0, 1] > 0.99
    assert np.median(np.abs(found / truth - 1)) < 0.1
    assert "EKFAC" in approximate.notes[0] and not exact.notes


def test_float32_keeps_four_digits():
    problem, x, y = make(2000, 5, 64, 4, dtype=np.float32)
    double = ClosedForm(problem, 0.1, dense=False).average(x, y)
    single = ClosedForm(problem, 0.1, dense=False, dtype=torch.float32)
    assert np.abs(single.average(x, y) - double).max() < 1e-4 * np.abs(double).max()
    assert single.solves[0].converged


def test_rows_that_are_only_shown_are_solved_in_single_precision_where_there_is_much_to_do(monkeypatch):
    problem, x, y = make(80, 4, 5, 7)
    small, large = (ClosedForm(problem, 0.1, dense=False) for _ in range(2))
    np.testing.assert_array_equal(small.shown_rows(x, y), small.rows(x, y))
    monkeypatch.setattr("auditor.influence.closed_form.SMALL", 10)
    exact = large.rows(x, y)
    shown = large.shown_rows(x, y)
    assert 0 < np.abs(shown - exact).max() < 1e-3 * np.abs(exact).max()
    assert len(large.solves) == 2 and all(solve.converged for solve in large.solves)
    assert large.solves[0].relative_residual < 1e-8 < large.solves[1].relative_residual <= 1e-4
    dense = ClosedForm(problem, 0.1, dense=True)
    np.testing.assert_array_equal(dense.shown_rows(x, y), dense.rows(x, y))


@pytest.mark.parametrize("refinements", [4, 1])
def test_much_to_do_is_solved_in_single_precision_until_the_double_residual_is_small(refinements, monkeypatch):
    problem, x, y = make(300, 4, 16, 7, dtype=np.float32)
    told = []
    plain, refined = (
        ClosedForm(problem, 0.1, dense=False, listener=lambda text, done, total: told.append(done)) for _ in range(2)
    )
    expected = [plain.average(x, y), plain.rows(x, y), plain.average_by_class(x, y, 4)]
    told.clear()
    monkeypatch.setattr("auditor.influence.closed_form.SMALL", 10)
    monkeypatch.setattr("auditor.influence.closed_form.REFINEMENTS", refinements)  # one is never enough
    found = [refined.average(x, y), refined.rows(x, y), refined.average_by_class(x, y, 4)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7 * np.abs(other).max())
        assert refinements == 1 or not np.array_equal(one, other)
    assert [solve.converged for solve in refined.solves] == [True] * 3 and 0 < min(told) <= max(told) <= 100
    assert all(0 < solve.relative_residual <= 1e-8 and solve.iterations > 2 for solve in refined.solves)


def test_conjugate_gradient_that_stops_early_is_not_silent(monkeypatch):
    problem, x, y = make(200, 4, 20, 6)
    monkeypatch.setattr("auditor.influence.closed_form.MAX_ITERATIONS", 2)
    stopped = ClosedForm(problem, 1e-6, dense=False)
    stopped.average(x, y)
    (solve,) = stopped.solves
    assert not solve.converged and solve.relative_residual > 1e-8 and solve.iterations == 2


def test_saturated_and_perfect_heads():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3))
    y = np.arange(20) % 2
    sure = HeadProblem(x, y, np.array([[1e4, 0, 0], [-1e4, 0, 0.0]]), np.zeros(2))
    for dense in (True, False):
        found = ClosedForm(sure, 0.5, dense=dense).average(x, y)
        np.testing.assert_allclose(found, brute_force(sure, x, y, 0.5)[0].mean(0), rtol=1e-6, atol=1e-9)
    right = HeadProblem(x, (x[:, 0] < 0).astype(np.int64), sure.weight, sure.bias)
    for dense in (True, False):
        perfect = ClosedForm(right, 0.5, dense=dense)
        assert np.abs(perfect.average(x, right.labels)).max() < 1e-12
        assert perfect.solves[0].converged


def test_products_match_automatic_differentiation():
    problem, _, _ = make(13, 3, 4, 9)
    head = LinearHead(problem)
    v = torch.randn(6, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    theta = torch.cat([head.weight, head.bias[:, None]], 1)[None]
    features, labels = torch.from_numpy(problem.features), torch.from_numpy(problem.labels)

    def loss(t):
        return torch.nn.functional.cross_entropy(features @ t[:, :-1].T + t[:, -1], labels)

    hessian = torch.func.hessian(loss)(theta[0]).reshape(15, 15)
    torch.testing.assert_close(head.product(v).flatten(1), v.flatten(1) @ hessian)
    assert torch.equal(from_flat(to_flat(v), 3), v)


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_class_basis_is_orthonormal_and_sums_to_zero(n_classes):
    basis = class_basis(n_classes, torch.float64, torch.device("cpu"))
    torch.testing.assert_close(basis.T @ basis, torch.eye(n_classes - 1, dtype=torch.float64))
    assert basis.sum(0).abs().max() < 1e-12


def test_classes_absent_from_the_reference_have_zero_rows():
    problem, x, _ = make(20, 3, 4, 1)
    by_class = engine(problem, "auto", 0.1).average_by_class(x, np.array([0, 0, 2, 2, 0]), 3)
    assert np.all(by_class[1] == 0) and np.all(np.abs(by_class[[0, 2]]).max(1) > 0)


def test_dense_hessian_that_does_not_fit_is_refused(monkeypatch):
    problem, x, y = make(20, 3, 4, 1)
    monkeypatch.setattr("auditor.compute.hardware.available_bytes", lambda device: 100)
    with pytest.raises(EngineError, match="MiB are free") as caught:
        ClosedForm(problem, 0.1, dense=True).average(x, y)
    assert "cg" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0, 1, 3, 0])}, "labels run from 0 to 3"),
        ({"labels": np.array([0, 1, 0])}, "labels of shape"),
        ({"labels": np.zeros(4)}, "whole numbers"),
        ({"weight": np.zeros((3, 9))}, "does not fit 2 features"),
        ({"weight": np.full((3, 2), np.nan)}, "not finite"),
        ({"features": np.zeros((0, 2)), "labels": np.zeros(0, dtype=int)}, "0 training points"),
    ],
)
def test_problems_that_make_no_sense_are_refused(change, message):
    good = {
        "features": np.zeros((4, 2)),
        "labels": np.array([0, 1, 2, 0]),
        "weight": np.zeros((3, 2)),
        "bias": np.zeros(3),
    }
    with pytest.raises(EngineError, match=message):
        HeadProblem(**(good | change))


@pytest.mark.parametrize("damping", [0.0, -1.0, float("nan"), float("inf")])
def test_damping_must_be_positive(damping):
    problem, x, y = make(10, 2, 3, 0)
    with pytest.raises(EngineError, match="damping"):
        engine(problem, "auto", damping)
    with pytest.raises(EngineError, match="damping"):
        engine(problem, "auto", 0.1).average_many(x, y, [damping])


def test_reference_sets_that_make_no_sense_are_refused():
    problem, x, y = make(10, 2, 3, 0)
    found = engine(problem, "auto", 0.1)
    for bad_x, bad_y, message in (
        (x[:0], y[:0], "empty"),
        (x, y[:-1], "labels"),
        (x[:, :2], y, "do not fit"),
        (x, y + 5, "labels run"),
        (np.full_like(x, np.nan), y, "not finite"),
    ):
        with pytest.raises(EngineError, match=message):
            found.average(bad_x, bad_y)
    features = problem.features.copy()
    features[3, 1] = np.inf
    with pytest.raises(EngineError, match="not finite"):
        engine(HeadProblem(features, problem.labels, problem.weight, problem.bias), "auto", 0.1)


def test_few_points_of_many_features_are_solved_in_the_space_that_they_span(monkeypatch):
    """The preconditioner stands for the whole one: the same answers and self-influences, in as few iterations."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 1200)).astype(np.float32) * np.logspace(0, -2, 1200).astype(np.float32)
    y = np.arange(60) % 4
    head = SoftmaxHead.train(x[:40], y[:40], 4, 1e-2)
    found = []
    for wide in (linear.WIDE, 10**6):
        monkeypatch.setattr(linear, "WIDE", wide)
        engine = ClosedForm(HeadProblem(x[:40], y[:40], head.weight, head.bias), 1e-2, dense=False)
        found.append((engine.average(x[40:], y[40:]), engine.self_influence(), engine.solves[0]))
    (thin, own, solve), (whole, whole_own, whole_solve) = found
    assert np.allclose(thin, whole, rtol=1e-6, atol=1e-9) and np.allclose(own, whole_own, rtol=1e-3)
    assert solve.converged and solve.iterations <= whole_solve.iterations + 2
