"""Words of every script, and features of texts: the same each time, blind to labels, true to distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.data import text_encoder
from auditor.data.text_encoder import TextEncoder
from auditor.data.words import terms, words

TOPICS = ("the cat sat on the mat and purred", "stocks fell as banks lost money", "rain and wind over the northern sea")


def corpus(n: int, seed: int = 0) -> list[str]:
    """Texts of three topics, each with some of its topic's words and a word of its own."""
    rng = np.random.default_rng(seed)
    return [" ".join([*rng.choice(TOPICS[at % 3].split(), 6), f"w{rng.integers(50)}"]) for at in range(n)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World's 2nd!", ["hello", "world", "s", "2nd"]),
        ("我爱北京 ABC", ["我", "爱", "北", "京", "abc"]),
        ("日本語のテキスト", list("日本語のテキスト")),
        ("ไม่มีช่อง", ["ไ", "ม่", "มี", "ช่", "อ", "ง"]),
        ("मेरी भाषा", ["मेरी", "भाषा"]),
        ("مرحبًا بالعالم", ["مرحبًا", "بالعالم"]),
        ("שלום\u200f עולם", ["שלום", "עולם"]),
        ("ＦＵＬＬ width", ["full", "width"]),
        ("😀great", ["😀", "great"]),
        ("?!", ["?", "!"]),
        ("", []),
    ],
)
def test_words_of_many_scripts(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_terms_are_words_and_pairs() -> None:
    assert terms("a b c") == ["a", "b", "c", "a b", "b c"]


@given(st.text(max_size=80))
def test_every_text_that_shows_something_has_words(text: str) -> None:
    assert all(word and not any(map(str.isspace, word)) for word in words(text))
    assert words(text) == words(text.upper().lower()) or not text.isascii()


def test_features_are_the_same_each_time_and_topics_lie_together() -> None:
    texts = corpus(120)
    encoder, values = TextEncoder.of(texts)
    _, again = TextEncoder.of(texts)
    assert values.tobytes() == again.tobytes() and values.dtype == np.float32
    assert values.shape == (120, 120 // text_encoder.TEXTS_A_DIMENSION) == (120, encoder.n_features)
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    same = np.arange(120)[:, None] % 3 == np.arange(120) % 3
    similarity = unit @ unit.T
    assert similarity[same].mean() > similarity[~same].mean() + 0.3


def test_the_rotation_changes_no_distance_and_evens_out_the_spread() -> None:
    encoder, values = TextEncoder.of(corpus(200))
    plain = encoder.reduction.transform(encoder.vectoriser.transform(corpus(200)))
    assert np.allclose(values @ values.T, plain @ plain.T, atol=1e-5)
    assert values.std(axis=0).max() / values.std(axis=0).min() < plain.std(axis=0).max() / plain.std(axis=0).min() / 2


def test_other_texts_are_read_by_the_terms_of_the_audited_ones() -> None:
    texts = corpus(90)
    encoder, values = TextEncoder.of(texts)
    assert np.allclose(encoder(texts), values, atol=1e-5)
    assert encoder(["nothing known here", texts[0]]).shape == (2, encoder.n_features)
    assert not encoder(["zzz"]).any()


@pytest.mark.parametrize("texts", [["a", "b", "c"], ["same"] * 5, ["?", "!", "a b"], ["一", "二", "三", "四"]])
def test_short_lists_of_short_texts_have_features(texts: list[str]) -> None:
    _, values = TextEncoder.of(texts)
    assert len(values) == len(texts) and values.shape[1] >= 1 and np.isfinite(values).all()
