"""A user's transform: what it says or shows of size and normalisation, and every way in which it can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from auditor.errors import ConfigError
from auditor.model import vision
from auditor.model.preparation import Preparation, preparation

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def tensor(picture: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def scaled(picture: Any, edge: int = 96) -> torch.Tensor:
    """[3, edge, edge] in 0..1."""
    return tensor(picture.resize((edge, edge))).float() / 255


def normalised(values: torch.Tensor) -> torch.Tensor:
    return (values - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


class Part:
    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


def test_without_a_transform_it_is_imagenet_s() -> None:
    assert preparation(None, "x").edge == 224 and preparation(None, "x").mean == (0.485, 0.456, 0.406)


def test_a_transform_that_cannot_be_called_says_size_and_normalisation() -> None:
    whole = Part(transforms=[Part(size=256), Part(size=[48, 48]), Part(mean=[0.1, 0.2, 0.3], std=[1.0, 2.0, 3.0])])
    assert preparation(whole, "x") == Preparation(48, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    with pytest.raises(ConfigError, match="does not say its size"):
        preparation(Part(size=32), "x")


def test_torchvision_s_presets_and_compositions_are_understood() -> None:
    vision.models()  # our door to torchvision
    from torchvision import transforms

    preset = vision.models().get_model_weights("efficientnet_b0").DEFAULT.transforms()
    assert preparation(preset, "x") == Preparation(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    parts = [transforms.Resize(112), transforms.CenterCrop(96)]
    whole = transforms.Compose([*parts, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    assert preparation(whole, "x") == Preparation(96, MEAN, STD)
    of_tensors = transforms.Compose([*parts, transforms.Normalize(MEAN, STD)])
    assert preparation(of_tensors, "x") == Preparation(96, MEAN, STD)
    only_scaled = transforms.Compose([*parts, transforms.ToTensor()])
    assert preparation(only_scaled, "x") == Preparation(96, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_a_function_is_understood_by_what_it_does() -> None:
    found = preparation(lambda picture: normalised(scaled(picture)), "x")
    assert found.edge == 96
    assert found.mean == pytest.approx(MEAN, abs=1e-5) and found.std == pytest.approx(STD, abs=1e-5)
    found = preparation(lambda picture: scaled(picture) * 255 - 127, "x")
    assert found.mean == pytest.approx((127 / 255,) * 3, abs=1e-5) and found.std == pytest.approx(
        (1 / 255,) * 3, rel=1e-5
    )


@given(
    edge=st.integers(8, 64),
    mean=st.tuples(*[st.floats(-2, 2)] * 3),
    std=st.tuples(*[st.floats(0.01, 10)] * 3),
)
@settings(max_examples=25)
def test_any_mean_and_deviation_are_found_again(edge: int, mean: Any, std: Any) -> None:
    def transform(picture: Any) -> torch.Tensor:
        return (scaled(picture, edge) - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    found = preparation(transform, "x")
    assert found.edge == edge
    assert found.mean == pytest.approx(mean, abs=1e-4) and found.std == pytest.approx(std, rel=1e-3)


def test_what_a_transform_does_counts_and_not_what_it_says() -> None:
    class Lies:
        size, mean, std = 64, (0.1, 0.1, 0.1), (1.0, 1.0, 1.0)

        def __call__(self, picture: Any) -> torch.Tensor:
            return normalised(scaled(picture))

    found = preparation(Lies(), "x")
    assert found.edge == 96 and found.mean == pytest.approx(MEAN, abs=1e-5)


def _fails(picture: Any) -> Any:
    raise RuntimeError("no such picture")


WRONG: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "pil": (lambda p: p.resize((96, 96)), "returns a PIL image", "ToTensor and Normalize"),
    "array": (np.array, "returns a ndarray where a tensor [3, S, S] belongs", "Compose"),
    "dict": (lambda p: {"pixel_values": scaled(p)}, "returns a dict where a tensor", "Compose"),
    "uint8": (lambda p: tensor(p.resize((96, 96))), "returns uint8 numbers", "scale=True"),
    "batch": (lambda p: scaled(p)[None], "returns a batch of the shape [1, 3, 96, 96]", "unsqueeze"),
    "one channel": (lambda p: scaled(p)[:1], "returns the shape [1, 96, 96]", "Grayscale"),
    "channels last": (lambda p: scaled(p).permute(1, 2, 0), "returns the shape [96, 96, 3]", "Grayscale"),
    "not square": (lambda p: scaled(p)[:, :64], "images of 64 x 96 pixels", "CenterCrop"),
    "no size": (lambda p: tensor(p).float(), "does not fix the size", "Resize and CenterCrop"),
    "swapped colours": (lambda p: scaled(p).flip(0), "changes colours by more than", "the network's forward"),
    "grey": (lambda p: scaled(p).mean(0, keepdim=True).expand(3, -1, -1), "changes colours by more", "forward"),
    "curved": (lambda p: scaled(p) ** 2, "changes colours by more than", "forward"),
    "inverted": (lambda p: 1 - scaled(p), "does not keep bright pixels bright", "Compose"),
    "nothing": (lambda p: scaled(p) * 0, "does not keep bright pixels bright", "Compose"),
    "noise": (lambda p: scaled(p) + torch.rand(3, 96, 96), "makes a pattern of a plain picture", "random"),
    "nan": (lambda p: scaled(p) * float("nan"), "makes a pattern of a plain picture", "random"),
    "raises": (_fails, "fails on a picture: no such picture", "a PIL image"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_transform_gets_one_sentence_and_what_to_do(name: str) -> None:
    transform, message, hint = WRONG[name]
    with pytest.raises(ConfigError) as refused:
        preparation(transform, "net.py:make")
    assert refused.value.message.startswith("the transform of the backbone net.py:make ")
    assert message in refused.value.message and hint in refused.value.hint


def test_the_network_sees_what_the_transform_would_have_given() -> None:
    from auditor.model.backbone import Transform

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8))
    found = preparation(lambda p: normalised(scaled(p)), "x")
    ours = Transform(found.edge, found.mean, found.std).normalise(np.array(picture)[None])
    torch.testing.assert_close(ours[0], normalised(scaled(picture)), atol=1e-4, rtol=1e-4)
