"""A network of the user's as an object: what it is taken for, and every way in which it can be wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from auditor.errors import AuditorError, ConfigError, WeightsError
from auditor.model import Weights, backbone_kind, module_kind, register_backbone
from auditor.model.backbone import Backbone, Transform
from auditor.model.own_kind import OwnKind
from auditor.model.weights import load_weights

NONE = Weights("none", None, "")
SOME_EDGES: Any = torch.tensor([9]).numpy()


def body(*more: nn.Module) -> nn.Sequential:
    """A small network that gives eight features, with more layers behind it."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), *more)


class Through(nn.Module):
    """`body` with a function of its features."""

    def __init__(self, function: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.function, self.body = function, body()

    def forward(self, x: torch.Tensor) -> object:
        return self.function(self.body(x))


class BatchStatistics(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.norm = body(), nn.BatchNorm1d(8, track_running_stats=False)

    def forward(self, x: torch.Tensor) -> Any:
        return self.norm(self.body(x))


class Counts(nn.Module):
    calls: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.body = body()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> Any:
        self.calls += 1
        return self.body(x)


class Wrapper(nn.Module):
    """As frameworks for training have them: the network inside, and no forward."""

    def __init__(self, trainer: object = None) -> None:
        super().__init__()
        self.model, self.trainer = body(nn.Linear(8, 3)), trainer


class WrapperWithForward(Wrapper):
    """The same with a forward, settings and a step of training, as Lightning has them."""

    def __init__(self) -> None:
        super().__init__()
        self.hparams = {"lr": 0.1, "trainer": None}

    def forward(self, x: torch.Tensor) -> Any:
        return self.model(x)

    def training_step(self, batch: Any, batch_index: int) -> Any:
        return self(batch[0]).sum()


class ViewsItsInput(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        return x.view(len(x), -1)[:, ::5000]


WRONG: dict[str, tuple[Callable[[], object], str, str]] = {
    "tuple": (lambda: Through(lambda x: (x, x)), "returns a tuple where a tensor belongs", "one tensor"),
    "dict": (lambda: Through(lambda x: {"logits": x}), "returns a dict where a tensor belongs", "one tensor"),
    "object": (lambda: Through(lambda x: object()), "returns an object where a tensor belongs", "one tensor"),
    "nothing": (lambda: Through(lambda x: None), "returns a NoneType where a tensor belongs", "one tensor"),
    "nan": (lambda: Through(lambda x: x / 0 * 0), "gives NaN or infinity", "check its weights"),
    "first dimension": (lambda: Through(lambda x: x[:2]), "of the shape [2, 8] for 3 images", "one row of numbers"),
    "one number": (lambda: Through(lambda x: x.mean()), "of the shape [] for 3 images", "one row of numbers"),
    "class numbers": (lambda: Through(lambda x: x.argmax(1)), "returns int64 numbers", "its features or its logits"),
    "complex": (lambda: Through(lambda x: torch.fft.fft(x)), "returns complex64 numbers", "floating-point numbers"),
    "constant": (lambda: Through(lambda x: x * 0 + 1), "the same features for every image", "check its weights"),
    "batch statistics": (BatchStatistics, "an image other features beside other images", "running statistics"),
    "dropout in forward": (
        lambda: Through(lambda x: nn.functional.dropout(x, training=True)),
        "other features for the same images each time",
        "dropout and everything random",
    ),
    "state": (Counts, "changes its own state 'calls'", "self.training"),
    "no forward": (Wrapper, 'is missing the required "forward"', "return the network inside it"),
    "not to be copied": (lambda: Wrapper(threading.Lock()), "cannot be copied", "the network inside it alone"),
    "one channel": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 26 * 26, 3)),
        "to have 1 channels, but got 3",
        "it reads 1 channel, and images here have 3: write a module whose forward gives it x.mean(dim=1, keepdim=True)",
    ),
    "no images": (lambda: nn.Linear(5, 2), "fails on images of 224 x 224 pixels", "it gets float32 [n, 3, S, S]"),
    "lazy": (lambda: nn.LazyConv2d(8, 3), "a parameter without values: weight", "run it once on an image"),
    "meta": (lambda: body().to("meta"), "a parameter without values: 0.weight", "load its weights"),
    "a class": (lambda: nn.Conv2d, "is a type, not a torch.nn.Module", "return the module"),
    "a number": (lambda: 3, "is an int, not a torch.nn.Module", "return the module"),
    "three things": (lambda: (body(), None, 1), "is a tuple, not a torch.nn.Module", "the module and its transform"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_module_gets_one_sentence_and_what_to_do(name: str) -> None:
    make, message, hint = WRONG[name]
    with pytest.raises(ConfigError) as refused:
        OwnKind("net.py:make", make())
    assert refused.value.message.startswith("the backbone net.py:make ")
    assert message in refused.value.message and hint in refused.value.hint
    assert "\n" not in refused.value.message + refused.value.hint


RIGHT: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "in train mode with dropout": (lambda: body(nn.Dropout(0.5), nn.Linear(8, 3)).train(), 8),
    "batchnorm in train mode": (lambda: body(nn.BatchNorm1d(8), nn.Linear(8, 3)).train(), 8),
    "no parameters": (lambda: nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten()), 12),
    "half precision": (lambda: body(nn.Linear(8, 3)).half(), 8),
    "double precision": (lambda: body(nn.Linear(8, 3)).double(), 8),
    "maps": (lambda: nn.Conv2d(3, 6, 3, 8), 6),
    "tokens": (lambda: Through(lambda x: x[:, None].expand(-1, 5, -1)), 8),
    "as Lightning has it": (WrapperWithForward, 8),
    "data parallel": (lambda: nn.DataParallel(body(nn.Linear(8, 3))), 8),
    "compiled": (lambda: torch.compile(body(nn.Linear(8, 3))), 8),  # type: ignore[dict-item, return-value]
    "scripted": (lambda: torch.jit.script(body()), 8),
    "asks for an order of memory": (ViewsItsInput, 31),
    "changes its input": (lambda: nn.Sequential(nn.ReLU(inplace=True), body()), 8),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.filterwarnings("ignore")  # torch's advice on its older ways
def test_a_module_that_will_do_gives_features_of_any_batch(name: str) -> None:
    make, columns = RIGHT[name]
    kind = module_kind(make())
    assert kind.n_features == columns
    network = kind.build(load_weights("imagenet", kind), 3, 224, seed=0)
    images = torch.rand(4, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        features = kind.extractor(network)(images.clone())
        assert network(images.clone()).shape == (4, 3)
        alone = kind.extractor(network)(images[2:3].clone())
    assert features.shape == (4, kind.n_layered)
    torch.testing.assert_close(alone[0], features[2])


def test_a_module_is_left_as_it_was() -> None:
    net = body(nn.BatchNorm1d(8), nn.Linear(8, 3)).half().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    kind = module_kind(net)
    assert net.training and next(net.parameters()).dtype == torch.float16
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    with torch.no_grad():
        net[0].weight.zero_()
    assert kind.own_state()["body.0.weight"].abs().sum() > 0


def test_the_features_are_what_enters_the_last_linear_layer() -> None:
    net = body(nn.Linear(8, 3))
    kind = module_kind(net)
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        found = kind.extractor(kind.build(load_weights("imagenet", kind), 2, 64, seed=0))(images)
        torch.testing.assert_close(found[:, -8:], net[:-1](images))


def test_a_module_is_found_by_its_name_while_it_is_registered() -> None:
    kind = module_kind(body(nn.Linear(8, 3)))
    assert kind.name == "module:Sequential"
    with register_backbone(kind):
        assert backbone_kind("module:Sequential") is kind
    with pytest.raises(AuditorError):
        backbone_kind("module:Sequential")


def test_its_own_weights_leave_nothing_to_add() -> None:
    kind = module_kind(body(nn.Linear(8, 3)))
    one, other = load_weights("imagenet", kind), load_weights("imagenet", module_kind(body(nn.Linear(8, 3))))
    assert one.name == "its own" and one.pretrained and one.sha256 == other.sha256
    with pytest.raises(WeightsError, match="weights of its own"):
        load_weights("none", kind)


class Only32(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = body()

    def forward(self, x: torch.Tensor) -> Any:
        assert x.shape[-1] == 32, f"images of {x.shape[-1]} pixels"
        return self.body(x)


def test_a_network_that_needs_another_size_reads_it_where_it_is_set() -> None:
    kind = module_kind(Only32())
    assert kind.image_size("32", SOME_EDGES, NONE) == 32
    with pytest.raises(ConfigError, match="fails on images of 224 x 224 pixels: images of 224 pixels") as refused:
        kind.image_size("auto", SOME_EDGES, NONE)
    assert "it reads 32 x 32: set --image-size 32, or return a transform" in refused.value.hint
    with pytest.raises(ConfigError, match="fails on images of 64 x 64") as refused:
        kind.image_size("64", SOME_EDGES, NONE)
    assert refused.value.hint == "set --image-size 32, which it reads"


class Fails(nn.Module):
    """As a network with a tensor that it keeps on another device: it fails only in the audit."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.body, self.answer = body(), answer

    def forward(self, x: torch.Tensor) -> Any:
        if len(x) == 64:
            if isinstance(self.answer, str):
                raise RuntimeError(self.answer)
            return self.answer
        return self.body(x)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("tensors on two devices\nmore", "fails on 64 images of 224 x 224 pixels on cpu: tensors on two devices"),
        ((1, 2), "returns a tuple where a tensor belongs"),
        (torch.zeros(64, 9), r"gives features of shape \[64, 9\] for 64 images"),
        (torch.zeros(63, 8), r"gives features of shape \[63, 8\] for 64 images"),
    ],
)
def test_a_network_that_fails_in_the_audit_gets_a_sentence_too(answer: object, message: str) -> None:
    kind = module_kind(Fails(answer))
    weights = load_weights("imagenet", kind)
    transform = Transform(224, (0.5,) * 3, (0.5,) * 3)
    backbone = Backbone(kind, weights, kind.build(weights, 2, 224, seed=0), transform, "cpu")
    with pytest.raises(ConfigError, match=message) as refused:
        backbone.extractor("float32")(torch.rand(64, 3, 224, 224))
    assert refused.value.message.startswith("the backbone module:Fails ") and refused.value.hint


def test_torch_is_left_as_it_was() -> None:
    class Meddles(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.manual_seed(x.shape[0])
            torch.set_default_dtype(torch.float64)
            torch.set_grad_enabled(True)
            return x.mean((2, 3))

    state = torch.random.get_rng_state()
    module_kind(Meddles())
    assert torch.equal(torch.random.get_rng_state(), state) and torch.get_default_dtype() == torch.float32
