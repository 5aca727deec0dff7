"""ResNet18 as backbone and head, against the plain network and plain training."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from torch import nn

from auditor.errors import ConfigError
from auditor.model import precision, quality, resnet, training, vision
from auditor.model.backbone import IMAGENET_MEAN, STUDY_MEAN, Weights
from auditor.model.weights import load_weights

RESNET18 = resnet.ResNet18()
NONE = Weights("none", None, "")
ONCE = training.Schedule(epochs=3, learning_rate=1e-3, batch_size=8, seed=0)


def _lively(network: nn.Module) -> nn.Module:
    """BatchNorm layers with statistics and scales that matter."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.running_mean.normal_(0, 0.2, generator=generator)
                module.running_var.uniform_(0.5, 2, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.2, generator=generator)
    return network


def _images(n: int, size: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return _lively(RESNET18.build(NONE, 3, 32, seed=0))


def test_the_network_is_torchvisions_with_one_pooled_feature_each(random_weights: Path) -> None:
    ours = RESNET18.build(load_weights(str(random_weights), RESNET18), 5, 64, seed=0)
    assert not ours.training and isinstance(ours.avgpool, nn.AdaptiveAvgPool2d)
    plain = vision.models().resnet18(num_classes=7)
    plain.load_state_dict(torch.load(random_weights, weights_only=True))
    plain.eval()
    ours.fc = copy.deepcopy(plain.fc)
    with torch.inference_mode():
        assert torch.allclose(ours(_images(2, 64)), plain(_images(2, 64)), atol=1e-5)


def test_equal_seeds_build_equal_networks_and_leave_torchs_generator_alone() -> None:
    torch.manual_seed(9)
    before = torch.get_rng_state()
    one, two, other = (RESNET18.build(NONE, 2, 8, seed) for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.fc.weight, two.fc.weight) and not torch.equal(one.fc.weight, other.fc.weight)


def test_a_small_image_keeps_its_resolution_only_where_the_network_starts_fresh(random_weights: Path) -> None:
    fresh = RESNET18.build(NONE, 2, 8, seed=0)
    sizes: list[int] = []
    fresh.layer1.register_forward_hook(lambda _m, _i, out: sizes.append(out.shape[-1]))
    with torch.inference_mode():
        fresh(_images(1, 8))
    assert sizes == [8]
    assert RESNET18.build(NONE, 2, 64, seed=0).conv1.kernel_size == (7, 7)
    assert RESNET18.build(load_weights(str(random_weights), RESNET18), 2, 32, seed=0).conv1.kernel_size == (7, 7)


@pytest.mark.parametrize("size", [8, 32, 64])
def test_the_folded_extractor_is_the_plain_network_without_its_head(size: int) -> None:
    network = _lively(RESNET18.build(NONE, 3, size, seed=0))
    before = copy.deepcopy(network.state_dict())
    extractor = resnet.feature_extractor(network)
    plain = copy.deepcopy(network)
    plain.fc = nn.Identity()
    with torch.inference_mode():
        ours, theirs = extractor(_images(4, size)), plain(_images(4, size))
    assert ours.shape == (4, RESNET18.n_features)
    assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-4
    assert not any(isinstance(m, nn.BatchNorm2d) for m in extractor.modules()), "every BatchNorm is folded"
    assert not any(p.requires_grad for p in extractor.parameters())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), "the network itself must not change"


def test_settled_batchnorm_has_the_images_statistics() -> None:
    network = RESNET18.build(NONE, 2, 16, seed=0)
    images = _images(64, 16) * 3 + 1
    training.settle_batchnorm(network, iter([images]))
    with torch.inference_mode():
        first = network.conv1(images)
    assert torch.allclose(network.bn1.running_mean, first.mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(network.bn1.running_var, first.var((0, 2, 3)), rtol=1e-3)
    assert not network.training and network.bn1.momentum == 0.1


@pytest.mark.parametrize(
    ("setting", "edges", "pretrained", "size"),
    [
        ("auto", [64, 64, 200], True, 64),
        ("auto", [8], True, 64),
        ("auto", [500], True, 224),
        ("auto", [100, 90, 120], True, 100),
        ("auto", [8], False, 8),
        ("auto", [3], False, 8),
        ("auto", [], True, 64),
        ("96", [8], True, 96),
        ("8", [500], True, 8),
    ],
)
def test_image_size(setting: str, edges: list[int], pretrained: bool, size: int) -> None:
    weights = Weights("w", {}, "") if pretrained else NONE
    assert RESNET18.image_size(setting, np.array(edges, dtype=np.int64), weights) == size


def test_normalisation_is_the_weights_own_or_the_studys() -> None:
    loaded = Weights("w", {}, "")
    assert RESNET18.normalisation("default", loaded)[0] == IMAGENET_MEAN
    assert RESNET18.normalisation("study", loaded)[0] == STUDY_MEAN
    assert RESNET18.normalisation("default", NONE)[0] == (0.5, 0.5, 0.5)


def test_training_the_head_on_features_is_training_fc_of_the_frozen_network(network: nn.Module) -> None:
    """The same initial head, the same batches, through pixels and the whole network in plain torch."""
    images, labels = _images(20), torch.arange(20) % 3
    plain = copy.deepcopy(network).requires_grad_(False)
    features = resnet.feature_extractor(network)(images).numpy()
    head, head_losses = training.train_head(features, labels.numpy(), 3, ONCE)

    generator = torch.Generator().manual_seed(ONCE.seed)
    plain.fc = nn.Linear(512, 3)
    with torch.no_grad():
        for parameter in plain.fc.parameters():
            parameter.uniform_(-(512**-0.5), 512**-0.5, generator=generator)
    optimiser = torch.optim.Adam(plain.fc.parameters(), lr=ONCE.learning_rate)
    losses = []
    for _ in range(ONCE.epochs):
        total = 0.0
        for index in torch.randperm(20, generator=generator).split(ONCE.batch_size):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(plain(images[index]), labels[index])
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(index)
        losses.append(total / 20)
    assert np.allclose(head.weight, plain.fc.weight.detach(), atol=2e-4)
    assert np.allclose(head.bias, plain.fc.bias.detach(), atol=2e-4)
    assert head_losses.train == pytest.approx(losses, rel=1e-3)


def test_head_training_is_deterministic_and_validates() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 5)).astype(np.float32), np.arange(30) % 2
    (one, losses), (two, again) = (training.train_head(x, y, 2, ONCE, val=(x[:6], y[:6])) for _ in range(2))
    assert (one.weight == two.weight).all() and losses == again
    assert len(losses.val) == len(losses.train) == ONCE.epochs
    logits = torch.as_tensor(one.logits(x[:6]))
    assert losses.val[-1] == pytest.approx(float(nn.functional.cross_entropy(logits, torch.as_tensor(y[:6]))))


def test_trainable_names_what_train_says(network: nn.Module) -> None:
    every = [name for name, _ in network.named_parameters()]
    assert training.trainable(network, "full") == every
    assert training.trainable(network, "head") == ["fc.weight", "fc.bias"]
    chosen = training.trainable(network, "layers:layer4.1, fc")
    assert chosen == [n for n in every if n.startswith(("layer4.1.", "fc."))]
    assert [n for n, p in network.named_parameters() if p.requires_grad] == chosen
    with pytest.raises(ConfigError) as caught:
        training.trainable(network, "layers:layer")
    assert "'layer'" in caught.value.message and "layer4" in caught.value.hint


def test_only_what_is_trained_changes_and_frozen_batchnorm_keeps_its_statistics() -> None:
    network = _lively(RESNET18.build(NONE, 2, 8, seed=0))
    before = copy.deepcopy(network.state_dict())
    training.trainable(network, "layers:layer4.1,fc")
    images, labels = _images(12, 8), np.arange(12) % 2
    points = training.LabelledImages(lambda i: images[i], labels)
    losses = training.train_network(network, points, ONCE, val=points)
    assert len(losses.train) == len(losses.val) == ONCE.epochs
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and all(name.startswith(("layer4.1.", "fc.")) for name in changed)
    assert any("running_mean" in name for name in changed), "the trained layers' own statistics move"
    assert not network.training


def test_a_last_batch_of_one_image_is_no_error() -> None:
    network = RESNET18.build(NONE, 2, 8, seed=0)
    training.trainable(network, "full")
    images = _images(5, 8)
    schedule = training.Schedule(epochs=1, learning_rate=1e-3, batch_size=2, seed=0)
    points = training.LabelledImages(lambda i: images[i], np.array([0, 1, 0, 1, 0]))
    training.train_network(network, points, schedule)
    assert np.isfinite(training.network_logits(network, lambda i: images[i], 5)).all()


def test_network_logits_are_the_networks(network: nn.Module) -> None:
    images = _images(130, 8)
    with torch.inference_mode():
        assert np.allclose(training.network_logits(network, lambda i: images[i], 130), network(images), atol=1e-4)


@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 99))
def test_quality_is_its_definition(n_classes: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(n, n_classes)), rng.integers(0, n_classes, n)
    found = quality.quality(logits, labels, n_classes)
    predicted = [max(range(n_classes), key=row.__getitem__) for row in logits.tolist()]
    for i in range(n_classes):
        for j in range(n_classes):
            pairs = zip(labels.tolist(), predicted, strict=True)
            assert found.confusion[i][j] == sum(a == i and b == j for a, b in pairs)
    assert found.n == n
    assert found.accuracy == pytest.approx(sum(a == b for a, b in zip(labels, predicted, strict=True)) / n)
    assert found.f1_weighted == pytest.approx(f1_score(labels, predicted, average="weighted", zero_division=0))


def test_softmax_survives_large_logits() -> None:
    rows = quality.softmax(np.array([[1e4, 0, -1e4], [1.0, 1.0, 1.0]], dtype=np.float32))
    assert np.allclose(rows, [[1, 0, 0], [1 / 3] * 3])


def test_bfloat16_is_nearly_float32_and_float32_untouched() -> None:
    parts = torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 4)
    network = torch.nn.Sequential(*parts)
    x = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert precision.in_precision(network, "float32") is network
    with torch.inference_mode():
        exact, fast = network(x), precision.in_precision(network, "bfloat16")(x)
    assert fast.dtype == torch.float32 and not torch.equal(exact, fast)
    torch.testing.assert_close(fast, exact, rtol=0.05, atol=0.05 * float(exact.abs().max()))
