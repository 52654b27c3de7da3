"""What a loop reads and writes, in the words of numba (Lam et al. 2015), which compiles it.

A loop is given one address: of a row of 64-bit slots, its job. The type of that address says what kind of numbers the
tensors hold, bf16 as 16 bits or fp32, so that a loop is written once for both. It computes in 32 bits.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

BF16, FP32 = types.CPointer(types.uint16), types.CPointer(types.float32)
_SLOT, _FLOAT, _INT, _HALF = ir.IntType(64), ir.FloatType(), ir.IntType(32), ir.IntType(16)
float32 = np.float32
FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}
"""What numba may do to be quick: all but to suppose that nothing is infinite or no number, since then a training that
has run away would not be seen."""


def _slot(builder: Any, job: Any, number: Any) -> Any:
    return builder.gep(builder.bitcast(job, _SLOT.as_pointer()), [number])


@intrinsic
def whole(typing: Any, job: Any, number: Any) -> Any:
    """The whole number in a slot."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(_slot(builder, values[0], values[1]))

    return types.int64(job, types.int64), generate


@intrinsic
def real(typing: Any, job: Any, number: Any) -> Any:
    """The number with a point in a slot, which lies there in 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        wide = builder.bitcast(builder.load(_slot(builder, values[0], values[1])), ir.DoubleType())
        return builder.fptrunc(wide, _FLOAT)

    return types.float32(job, types.int64), generate


@intrinsic
def numbers(typing: Any, job: Any, number: Any) -> Any:
    """Where a tensor of the job's own kind begins, whose address is in a slot."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address = builder.load(_slot(builder, values[0], values[1]))
        return builder.inttoptr(address, _element(job).as_pointer())

    return job(job, types.int64), generate


@intrinsic
def singles(typing: Any, job: Any, number: Any) -> Any:
    """Where a tensor in 32 bits begins, whatever the job's kind."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(builder.load(_slot(builder, values[0], values[1])), _FLOAT.as_pointer())

    return FP32(job, types.int64), generate


@intrinsic
def wholes(typing: Any, job: Any, number: Any) -> Any:
    """Where a tensor of 64-bit whole numbers begins."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(builder.load(_slot(builder, values[0], values[1])), _SLOT.as_pointer())

    return types.CPointer(types.int64)(job, types.int64), generate


@intrinsic
def claim(typing: Any, job: Any, step: Any) -> Any:
    """The first of `step` rows that no thread has taken yet; slot 0 counts them."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        counter = builder.bitcast(values[0], _SLOT.as_pointer())
        return builder.atomic_rmw("add", counter, values[1], "monotonic")

    return types.int64(job, types.int64), generate


@intrinsic
def claim_of(typing: Any, job: Any, number: Any) -> Any:
    """The next number, from 0 on, that another slot counts."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        counter = _slot(builder, values[0], values[1])
        return builder.atomic_rmw("add", counter, ir.Constant(_SLOT, 1), "monotonic")

    return types.int64(job, types.int64), generate


@intrinsic
def load(typing: Any, tensor: Any, index: Any) -> Any:
    """A number of a tensor, in 32 bits."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        read = builder.load(builder.gep(values[0], [values[1]]))
        if tensor.dtype == types.float32:
            return read
        wide = builder.shl(builder.zext(read, _INT), ir.Constant(_INT, 16))
        return builder.bitcast(wide, _FLOAT)

    return types.float32(tensor, types.int64), generate


@intrinsic
def store(typing: Any, tensor: Any, index: Any, value: Any) -> Any:
    """Write a number, in 16 bits rounded to the nearest and ties to even, as PyTorch does."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        address, number = builder.gep(values[0], [values[1]]), values[2]
        if tensor.dtype == types.uint16:
            # What is no number stays none: those that processors make end in zeros.
            bits = builder.bitcast(number, _INT)
            last = builder.and_(builder.lshr(bits, ir.Constant(_INT, 16)), ir.Constant(_INT, 1))
            rounded = builder.add(builder.add(bits, ir.Constant(_INT, 0x7FFF)), last)
            number = builder.trunc(builder.lshr(rounded, ir.Constant(_INT, 16)), _HALF)
        builder.store(number, address)
        return context.get_dummy_value()

    return types.void(tensor, types.int64, types.float32), generate


@intrinsic
def larger(typing: Any, one: Any, other: Any) -> Any:
    """Of two numbers; no number if either is none. Python's own `max` is not taken many at a time."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(_FLOAT, [_FLOAT, _FLOAT])
        return builder.call(builder.module.declare_intrinsic("llvm.maximum", [_FLOAT], kind), values)

    return types.float32(types.float32, types.float32), generate


def _element(job: Any) -> Any:
    return _FLOAT if job == FP32 else _HALF


@intrinsic
def _as_float(typing: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], _FLOAT)

    return types.float32(types.int32), generate


@intrinsic
def _between(typing: Any, x: Any, least: Any, most: Any) -> Any:
    """x, or the bound that it is beyond; no number stays none."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        x, least, most = values
        x = builder.select(builder.fcmp_ordered(">", least, x), least, x)
        return builder.select(builder.fcmp_ordered("<", most, x), most, x)

    return types.float32(types.float32, types.float32, types.float32), generate


@njit(inline="always", fastmath=FAST)
def exponential(x: Any) -> Any:
    """e to the x within 2 units of the last place, in steps that processors take for many numbers at a time (Cephes'
    polynomial, Moshier 1992)."""
    x = _between(x, float32(-87.0), float32(88.0))
    power = np.floor(x * float32(1.44269504) + float32(0.5))
    rest = x - power * float32(0.693359375) + power * float32(2.12194440e-4)
    sum_ = float32(1.9875691500e-4)
    sum_ = sum_ * rest + float32(1.3981999507e-3)
    sum_ = sum_ * rest + float32(8.3334519073e-3)
    sum_ = sum_ * rest + float32(4.1665795894e-2)
    sum_ = sum_ * rest + float32(1.6666665459e-1)
    sum_ = sum_ * rest + float32(5.0000001201e-1)
    return (sum_ * rest * rest + rest + float32(1)) * _as_float((np.int32(power) + np.int32(127)) << np.int32(23))


@njit(inline="always", fastmath=FAST)
def sigmoid(x: Any) -> Any:
    return float32(1) / (float32(1) + exponential(-x))


@njit(fastmath=FAST)
def sum_of(values: Any, begin: Any, end: Any) -> Any:
    """Of numbers in 32 bits."""
    total = float32(0)
    for one in range(begin, end):
        total += values[one]
    return total
