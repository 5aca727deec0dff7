"""A backbone that is tuned on labels that may be wrong: what it has not seen has no word, and frozen work is shared."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from helpers import tiny_backbone, tiny_network

from auditor.model.halves import Halves, map_bytes
from auditor.model.resnet import ResNet18
from auditor.model.tuning import Maps, Recipe, answers, step_seconds, tuned

EDGE, N, LAYERS = 8, 90, "layers:layer4,fc"
RECIPE = Recipe(epochs=2, learning_rate=3e-4)


@pytest.fixture(scope="module")
def world() -> tuple[torch.Tensor, np.ndarray, Halves, Maps]:
    """Images whose class is the side on which a bright blob lies, whichever way they are mirrored."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, N)
    images = torch.as_tensor(rng.normal(size=(N, 3, EDGE, EDGE)).astype(np.float32))
    images[np.flatnonzero(y), :, :4] += 1.0
    halves = Halves(tiny_backbone(), tiny_network(2, 0), LAYERS, EDGE)
    return images, y, halves, Maps(lambda index: images[index], N, halves)


def said(world, labels: np.ndarray, train: np.ndarray, seed: int = 0) -> np.ndarray:
    _, _, halves, maps = world
    upper = tuned(halves, maps, labels, train, RECIPE, seed)
    return answers(upper, halves.classifier, maps, np.arange(N)).log_probabilities


def test_labels_of_images_that_are_left_out_have_no_word_in_what_is_said(world):
    _, y, _, _ = world
    train, held = np.arange(60), np.arange(60, N)
    other = y.copy()
    other[held] = 1 - y[held]
    hidden = np.where(np.isin(np.arange(N), held), -1, y)
    found = said(world, y, train)
    np.testing.assert_array_equal(found, said(world, other, train))
    np.testing.assert_array_equal(found, said(world, hidden, train))
    assert (found[held].argmax(1) == y[held]).mean() > 0.8
    assert not np.array_equal(found, said(world, y, train, seed=1))


def test_both_halves_are_the_network_and_the_classifier_is_always_tuned():
    network = tiny_network(3, 1)
    x = torch.randn(5, 3, EDGE, EDGE)
    for kind, whole, layers, first in (
        (tiny_backbone(), network, "layers:layer3", "layer3"),
        (tiny_backbone(), network, "full", "conv1"),
        (ResNet18(), ResNet18().network(3, 64, pretrained=True).eval(), "layers:layer4.1", "layer4"),
    ):
        halves = Halves(kind, whole, layers, EDGE)
        with torch.inference_mode():
            torch.testing.assert_close(halves.upper(halves.lower(x)), whole(x), atol=1e-4, rtol=1e-4)
        names = [name for name, p in halves.upper.named_parameters() if p.requires_grad]
        assert names[0].startswith(first) or first == "conv1"
        assert {"fc.weight", "fc.bias"} <= set(names)
        assert not any(p.requires_grad for p in halves.lower.parameters())
        assert sum(p.requires_grad for p in whole.parameters()) == len(list(whole.parameters())), "it was changed"


def test_equal_seeds_give_equal_bytes_and_torchs_own_generator_stays(world):
    _, y, halves, _ = world
    start = {name: value.clone() for name, value in halves.upper.state_dict().items()}
    before = torch.get_rng_state()
    np.testing.assert_array_equal(said(world, y, np.arange(60)), said(world, y, np.arange(60)))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(value, start[name]) for name, value in halves.upper.state_dict().items())


def test_steps_in_half_precision_say_nearly_the_same_and_answer_in_float32(world):
    _, y, halves, maps = world
    train, said_so = np.arange(60), []
    for half in (False, True, True):
        upper = tuned(halves, maps, y, train, dataclasses.replace(RECIPE, half=half), 0)
        assert all(p.dtype == torch.float32 for p in upper.parameters())
        said_so.append(answers(upper, halves.classifier, maps, np.arange(60, N)).log_probabilities)
    exact, one, again = said_so
    np.testing.assert_array_equal(one, again)
    assert one.dtype == np.float32 and not np.array_equal(exact, one)
    np.testing.assert_allclose(np.exp(one), np.exp(exact), atol=0.05)


def test_answers_are_means_over_an_image_and_its_mirror_image(world):
    images, y, halves, maps = world
    mirrored = Maps(lambda index: images[index].flip(3), N, halves)
    upper = tuned(halves, maps, y, np.arange(60), RECIPE, 0)
    one, other = (answers(upper, halves.classifier, m, np.arange(7)) for m in (maps, mirrored))
    np.testing.assert_allclose(one.features, other.features, atol=1e-5)
    np.testing.assert_allclose(np.exp(one.log_probabilities).sum(1), 1, rtol=1e-5)


def test_what_it_costs_is_known_before(world):
    _, _, halves, maps = world
    assert map_bytes(halves) * N == maps.values.nbytes
    assert 0 < step_seconds(halves, maps, 2) < 60
    assert halves.n_tuned == sum(
        p.numel() for name, p in tiny_network(2, 0).named_parameters() if name.startswith(("layer4", "fc"))
    )
