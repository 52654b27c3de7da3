"""One measured run, and the file that keeps them: a line of JSON each, written at once, so that a cut bench goes on."""

import os
import platform
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median

from pydantic import BaseModel, ConfigDict, Field

RESULTS = Path(__file__).parent.parent / "results" / "engine.jsonl"
WARM_UP_STEPS = 2
"""Not counted: caches fill, memory is asked for, kernels are compiled."""
LIBRARIES = ("torch", "transformers", "peft")

Figures = dict[str, float]
Medians = Mapping[tuple[str, str], Figures]
"""Part and who -> each figure's median over the repeats."""


class Run(BaseModel):
    """`who` of a part was measured once. Seconds, bytes and tokens; what is not a number is no figure."""

    model_config = ConfigDict(frozen=True)

    part: str
    who: str
    repeat: int
    figures: Figures
    threads: int
    machine: str
    load: float = 0.0
    """Of the machine when it began: others' work makes figures worth less."""
    at: float = Field(default_factory=time.time)

    @property
    def key(self) -> tuple[str, str, int]:
        return self.part, self.who, self.repeat


def read_runs(path: Path) -> list[Run]:
    return [Run.model_validate_json(line) for line in path.read_text().splitlines()] if path.exists() else []


def add_run(path: Path, run: Run) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(run.model_dump_json() + "\n")


def medians(runs: Iterable[Run]) -> dict[tuple[str, str], Figures]:
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        for name, value in run.figures.items():
            found[run.part, run.who][name].append(value)
    return {who: {name: median(values) for name, values in of_who.items()} for who, of_who in found.items()}


def step_figures(began: Sequence[float], ended: Sequence[float], tokens: Sequence[int]) -> Figures:
    """Of steps, by when each began and ended and how many real tokens it read."""
    seconds = [end - begin for begin, end in zip(began, ended, strict=True)]
    steady = seconds[WARM_UP_STEPS:]
    return {
        "tokens_per_second": sum(tokens[WARM_UP_STEPS:]) / sum(steady),
        "step_seconds": median(steady),
        "warm_up_seconds": sum(seconds[:WARM_UP_STEPS]),
        "tokens": sum(tokens),
        "steps": len(seconds),
    }


def differences(totals: Sequence[int]) -> list[int]:
    """What each step added to a running total."""
    return [after - before for before, after in pairwise([0, *totals])]


def machine() -> str:
    """Processor and cores, and the libraries that compute."""
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"{os.cpu_count()} cores of {_processor()}, {versions}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
