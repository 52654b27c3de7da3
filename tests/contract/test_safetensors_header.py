"""A safetensors file is read strictly: nothing overlaps, nothing is missing, nothing is left over."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from webapp.contract.safetensors_header import read_tensors


def tensor(begin: int, end: int, *, dtype: str = "F32", shape: Any = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


def write(path: Path, header: Any, data: int, *, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + bytes(data))
    return path


def test_tensors_come_in_the_order_they_lie(tmp_path: Path) -> None:
    header = {"b": tensor(8, 16), "a": tensor(0, 8), "empty": tensor(8, 8, shape=[0]), "__metadata__": {"format": "pt"}}
    path = write(tmp_path / "x", header, 16)
    assert [one.name for one in read_tensors(path)] == ["a", "empty", "b"]
    assert sum(one.num_numbers for one in read_tensors(path)) == 4


@pytest.mark.parametrize(
    ("header", "data", "says"),
    [
        ({"a": tensor(0, 8), "b": tensor(4, 12)}, 12, "overlaps"),
        ({"a": tensor(0, 8), "b": tensor(12, 20)}, 20, "gap"),
        ({"a": tensor(0, 8)}, 4, "cut short"),
        ({"a": tensor(0, 8)}, 12, "no tensor owns"),
        ({"a": tensor(0, 1 << 60)}, 4, "cut short"),
        ({"a": tensor(0, 8, shape=[1 << 62, 1 << 62])}, 8, "shape"),
        ({"a": tensor(0, 8, shape=[-2])}, 8, "impossible"),
        ({"a": tensor(0, 8, shape=[2.0])}, 8, "impossible"),
        ({"a": tensor(0, 8, shape=[True, 2])}, 8, "impossible"),
        ({"a": tensor(-8, 0)}, 8, "impossible"),
        ({"a": tensor(0, 8, dtype="F8_E4M3")}, 8, "cannot be fine-tuned"),
        ({"a": {"dtype": "F32"}}, 8, "nothing usable"),
        ({"a": 3}, 8, "nothing usable"),
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
         8, "twice"),
        (b"[]", 0, "no object"),
        (b"[" * 100_000, 0, "no object"),
        (b"\x80\x04pickle", 0, "decode"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, header: Any, data: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_tensors(write(tmp_path / "x", header, data))


@pytest.mark.parametrize(("length", "says"), [(101_000_000, "too long"), (1 << 63, "too long"), (1000, "cut short")])
def test_a_header_of_an_impossible_length_is_not_read(tmp_path: Path, length: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_tensors(write(tmp_path / "x", {"a": tensor(0, 8)}, 8, length=length))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(ValueError, match="empty"):
        read_tensors(tmp_path / "x")
