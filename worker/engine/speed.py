"""How fast this processor multiplies. What a job will take is foretold by it before any job has run here: processors
differ by a factor of ten, and by which numbers they multiply fast.

It is measured by a process that stands by, which has nothing better to do; jobs do not wait for it.
"""

import time

import torch
from torch import Tensor

from worker.engine.model import cpu_has_bf16

ROWS, INPUTS, OUTPUTS = 512, 576, 1536
TIMES = 25


class _Measured:
    flops_a_second = 0.0


def measure_speed() -> float:
    """Multiplications and additions a second, in the numbers that a step's products are taken in and on as many threads
    as a job has. The best of several: others at work only make it slower."""
    dtype = torch.bfloat16 if cpu_has_bf16() else torch.float32
    x, weight = torch.randn(ROWS, INPUTS).to(dtype), torch.randn(OUTPUTS, INPUTS).to(dtype)
    quickest = min(_seconds(x, weight) for _ in range(TIMES))
    _Measured.flops_a_second = 2 * ROWS * INPUTS * OUTPUTS / quickest
    return _Measured.flops_a_second


def measured_speed() -> float:
    """What this very process has measured; 0 if it has not."""
    return _Measured.flops_a_second


def _seconds(x: Tensor, weight: Tensor) -> float:
    began = time.perf_counter()
    torch.mm(x, weight.T)
    return time.perf_counter() - began
