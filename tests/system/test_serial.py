"""Values become bytes and come back. Other bytes are refused."""

from __future__ import annotations

import gc
import io
import pickle
import signal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.detection.results import Damping, DampingTrial, Share
from auditor.sources.base import ImageTable
from auditor.system import serial

FRAME = pd.DataFrame({"label": [2, 0], "share": [0.5, np.nan], "name": ["=a", None], "ok": [True, False]})


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return bool(a == b) and type(a) is type(b)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        -0.0,
        1e-310,
        "\ud800 \0 é",
        (1, [2, (3,)]),
        {"a": 1, 2: ("b",)},
        np.float32(0.1),
        np.int64(-5),
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.empty((0, 4), np.int64),
        np.array(["x", None], dtype=object),
        np.array([np.nan, -np.inf]),
        Damping(1.0, True, (DampingTrial(0.1, 0.5, (0.4, 0.6)),)),
    ],
)
def test_values_come_back_as_they_were(value: Any) -> None:
    assert _same(value, serial.loads(serial.dumps(value)))


@pytest.mark.parametrize("frame", [FRAME, FRAME.iloc[1:], FRAME.iloc[:0], FRAME.sort_values("label"), pd.DataFrame()])
def test_frames_come_back_as_they_were(frame: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(frame, serial.loads(serial.dumps(frame)), check_column_type=False)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_plain_value_comes_back(value: Any) -> None:
    assert _same(value, serial.loads(serial.dumps(value)))


@pytest.mark.parametrize("value", [lambda: 1, {1, 2}, b"bytes", io.BytesIO(), object(), [print]])
def test_what_is_no_value_is_refused_when_it_is_written(value: Any) -> None:
    with pytest.raises(serial.Unserialisable):
        serial.dumps(value)


def test_a_table_with_functions_in_it_is_refused() -> None:
    with pytest.raises(serial.Unserialisable):
        serial.dumps(ImageTable("a", "b", FRAME, lambda path: b""))


@pytest.mark.parametrize("cut", [0, 1, 30, -30, -1])
def test_truncated_bytes_are_damaged(cut: int) -> None:
    with pytest.raises(serial.Damaged):
        serial.loads(serial.dumps(Share(0.1, 0.0, 0.2, 1, 0, 2))[:cut])


@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_changed_byte_changes_nothing_or_is_found(position: int, byte: int) -> None:
    whole = {"x": np.arange(20.0), "y": Share(0.1, 0.0, 0.2, 1, 0, 2)}
    data = bytearray(serial.dumps(whole))
    data[position % len(data)] = byte
    try:
        found = serial.loads(bytes(data))
    except serial.Damaged:
        return
    assert np.array_equal(found["x"], whole["x"]) and found["y"] == whole["y"]


class _Evil:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("executed",))


def test_pickles_are_not_loaded() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, structure=np.array([_Evil()], dtype=object))
    for data in (pickle.dumps(_Evil()), buffer.getvalue()):
        with pytest.raises(serial.Damaged):
            serial.loads(data)


@pytest.mark.parametrize(
    "kind", ["os:system", "subprocess:Popen", "auditor.cli:main", "auditor.system.serial:Damaged", "x"]
)
def test_only_frozen_dataclasses_of_this_package_are_made(kind: str) -> None:
    share = serial.dumps(Share(0.1, 0.0, 0.2, 1, 0, 2))
    with np.load(io.BytesIO(share)) as found:
        text = found["structure"].tobytes().decode().replace("auditor.detection.results:Share", kind)
    buffer = io.BytesIO()
    np.savez(buffer, structure=np.frombuffer(text.encode(), np.uint8))
    with pytest.raises(serial.Damaged):
        serial.loads(buffer.getvalue())


def test_a_zip_file_is_written_to_its_end_before_an_interrupt_takes_effect(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An interrupt inside left the file open, and Python complained when it threw the file away."""
    real, asked = np.lib.format.write_array, []

    def interrupted(*arguments: Any, **options: Any) -> None:
        if not asked:
            signal.raise_signal(signal.SIGINT)
        asked.append(True)
        real(*arguments, **options)

    monkeypatch.setattr(np.lib.format, "write_array", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            serial.packed({"a": np.arange(3), "b": np.arange(4)})
    finally:
        signal.signal(signal.SIGINT, before)
    gc.collect()
    assert len(asked) == 2 and capfd.readouterr().err == ""
