"""Looks for weights that are no numbers: one NaN spoils every answer, and no format forbids it."""

from pathlib import Path

import numpy as np

from webapp.contract.safetensors_header import BYTES_OF_DTYPE, FLOATS, Tensor, read_tensors

_EXPONENT = {"F64": 0x7FF0_0000_0000_0000, "F32": 0x7F80_0000, "F16": 0x7C00, "BF16": 0x7F80}
"""All bits of the exponent set: infinite, or not a number. Compared as whole numbers, since numpy knows no bf16."""
_NUMBERS_AT_ONCE = 1 << 22


def not_finite_tensor(path: Path) -> str | None:
    """The first tensor that holds NaN or an infinity."""
    content = np.memmap(path, np.uint8, "r")
    tensors = (tensor for tensor in read_tensors(path) if tensor.dtype in FLOATS)
    return next((tensor.name for tensor in tensors if not _is_finite(content, tensor)), None)


def _is_finite(content: np.ndarray, tensor: Tensor) -> bool:
    width = BYTES_OF_DTYPE[tensor.dtype]
    exponent = np.array(_EXPONENT[tensor.dtype], dtype=f"<u{width}")
    step = _NUMBERS_AT_ONCE * width
    for begin in range(tensor.begin, tensor.end, step):
        # A copy of bytes, since a tensor need not begin where its numbers could be read in place.
        numbers = np.frombuffer(content[begin : min(begin + step, tensor.end)].tobytes(), exponent.dtype)
        if ((numbers & exponent) == exponent).any():
            return False
    return True
