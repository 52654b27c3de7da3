"""What is measured: a part of the bench has several who take turns, so that a slow hour of the machine hits all."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.engine.figures import Figures, Run

THREADS = int(os.environ.get("GRAFTWORK_BENCH_THREADS", "2"))
FIRST_SEED = 17


class Turn(NamedTuple):
    """One turn of one of them, with a scratch folder for it alone."""

    folder: Path
    repeat: int
    runs: Sequence[Run]
    """What was measured before."""

    @property
    def seed(self) -> int:
        """The same for all in one repeat."""
        return FIRST_SEED + self.repeat


class Part(NamedTuple):
    """`measures`: who takes part, and how it is measured."""

    name: str
    measures: Mapping[str, Callable[[Turn], Figures]]
    most_repeats: int = 100
    """Fewer for what chooses or shows rather than compares."""


def environment() -> dict[str, str]:
    """For every measured process alike; nothing is asked of a network."""
    return {**os.environ, "OMP_NUM_THREADS": str(THREADS), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
