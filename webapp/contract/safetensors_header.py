"""The header of a safetensors file, read strictly: 8 bytes length, then JSON that says where each tensor lies.

Whatever torch would later trip over, or read from another tensor's bytes, is refused here.
"""

import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

BYTES_OF_DTYPE = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""What plain weights come in; those that pack several numbers into a byte are quantised and not for training."""
FLOATS = ("F64", "F32", "F16", "BF16")
LARGEST_HEADER_BYTES = 25_000_000


class Tensor(NamedTuple):
    """`begin` and `end` count from the beginning of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def num_numbers(self) -> int:
        return math.prod(self.shape)


def read_tensors(path: Path) -> list[Tensor]:
    """In the order they lie in the file. Raises ValueError, which says what is wrong."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise ValueError("it is empty or cut short")
        (length,) = struct.unpack("<Q", start)
        if length > LARGEST_HEADER_BYTES:
            raise ValueError("its header is too long")
        if length + 8 > size:
            raise ValueError("it is cut short")
        header = _object(file.read(length))
    header.pop("__metadata__", None)
    tensors = sorted(
        (_tensor(name, said, 8 + length) for name, said in header.items()), key=lambda one: (one.begin, one.end)
    )
    return list(_in_a_row(tensors, 8 + length, size))


def _object(text: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = dict(pairs)
        if len(names) < len(pairs):
            raise ValueError("its header names a tensor twice")
        return names

    try:
        header = json.loads(text, object_pairs_hook=once)
    except RecursionError:
        header = None
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    return header


def _tensor(name: str, said: Any, data_begins: int) -> Tensor:
    try:
        dtype, shape, (begin, end) = said["dtype"], tuple(said["shape"]), said["data_offsets"]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"its header says nothing usable of {name[:80]}") from error
    numbers = (*shape, begin, end)
    if not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers):
        raise ValueError(f"its header gives {name[:80]} an impossible size")
    if dtype not in BYTES_OF_DTYPE:
        raise ValueError(f"{name[:80]} is in {str(dtype)[:20]}, which cannot be fine-tuned")
    if math.prod(shape) * BYTES_OF_DTYPE[dtype] != end - begin:
        raise ValueError(f"{name[:80]} has more or fewer bytes than its shape needs")
    return Tensor(name, dtype, shape, data_begins + begin, data_begins + end)


def _in_a_row(tensors: list[Tensor], begin: int, size: int) -> Iterator[Tensor]:
    """One after the other, without gap or overlap, to the end of the file."""
    for tensor in tensors:
        if tensor.begin != begin:
            raise ValueError(f"{tensor.name[:80]} overlaps another tensor, or there is a gap before it")
        yield tensor
        begin = tensor.end
    if begin != size:
        raise ValueError("it is cut short or has bytes no tensor owns")
