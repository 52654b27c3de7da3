"""The engine against its peers and against what the machine can do: `python -m tests.bench engine --json PATH`.

Takes hours. Each measured run is a line in `--into FILE` at once; what is there is not done twice, so a bench that was
cut goes on. `--only prompt-heavy,short` takes these parts alone, `--who ours` these who take part, `--repeats 5`;
`--anew` forgets what was measured of the chosen ones first, `--table` only prints.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.engine import classify, cold, evaluation, growth, lora, methods, trunk
from tests.bench.engine.figures import RESULTS, Run, add_run, machine, medians, read_runs
from tests.bench.engine.table import table
from tests.bench.engine.targets import outcomes
from tests.bench.engine.turn import THREADS, Part, Turn

PARTS = tuple(part for room in (lora, trunk, methods, cold, classify, evaluation, growth) for part in room.PARTS)


def engine(words: Sequence[str]) -> Iterator[str]:
    arguments = _arguments(words)
    chosen = _chosen(arguments.only, arguments.who)
    if not arguments.table:
        if arguments.anew:
            _forget(chosen, arguments.into)
        for part in chosen:
            yield from _measure(part, arguments.repeats, arguments.into)
    runs = read_runs(arguments.into)
    yield from table(medians(runs), runs)
    if arguments.json:
        arguments.json.write_text(json.dumps(_summary(runs), indent=2) + "\n")


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    def names(text: str) -> list[str]:
        return text.split(",")

    parser = argparse.ArgumentParser(prog="python -m tests.bench engine", description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--into", type=Path, default=RESULTS)
    parser.add_argument("--only", type=names, default=[])
    parser.add_argument("--who", type=names, default=[])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--anew", action="store_true")
    parser.add_argument("--table", action="store_true")
    return parser.parse_args(words)


def _chosen(names: list[str], who: list[str]) -> list[Part]:
    """Exits with the names there are for one that is not."""
    known = {part.name for part in PARTS} | {one for part in PARTS for one in part.measures}
    if unknown := [name for name in (*names, *who) if name not in known]:
        raise SystemExit(f"Unknown: {', '.join(unknown)}. There are: {', '.join(sorted(known))}.")
    parts = [part for part in PARTS if not names or part.name in names]
    return [
        part._replace(measures={one: how for one, how in part.measures.items() if not who or one in who})
        for part in parts
    ]


def _measure(part: Part, repeats: int, into: Path) -> Iterator[str]:
    """All take turns, then all again. What fails is told, and tried when the bench is run again."""
    for repeat in range(min(repeats, part.most_repeats)):
        for who in part.measures:
            runs = read_runs(into)
            if (part.name, who, repeat) in {run.key for run in runs}:
                continue
            try:
                run = _run(part, who, repeat, runs)
            except RuntimeError as error:
                yield f"{part.name}, {who}: {error}"
                continue
            add_run(into, run)
            told = ", ".join(f"{name} {value:.4g}" for name, value in run.figures.items())
            yield f"{part.name}, {who}, {repeat + 1}: {told} (load {run.load:.1f})"


def _run(part: Part, who: str, repeat: int, runs: Sequence[Run]) -> Run:
    """Raises RuntimeError where a measured process fails."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="gw-engine-") as scratch:
        figures = part.measures[who](Turn(Path(scratch), repeat, runs))
    return Run(
        part=part.name, who=who, repeat=repeat, figures=figures, threads=THREADS, machine=machine(), load=load
    )  # fmt: skip


def _forget(chosen: list[Part], into: Path) -> None:
    gone = {(part.name, who) for part in chosen for who in part.measures}
    kept = [run for run in read_runs(into) if (run.part, run.who) not in gone]
    into.write_text("".join(run.model_dump_json() + "\n" for run in kept))


def _summary(runs: list[Run]) -> dict[str, object]:
    """All there is to say, for a program to read."""
    found = medians(runs)
    return {
        "machine": machine(),
        "threads": THREADS,
        "targets": [one._asdict() for one in outcomes(found)],
        "medians": [{"part": part, "who": who, **figures} for (part, who), figures in found.items()],
        "num_runs": {f"{part}, {who}": sum(run.key[:2] == (part, who) for run in runs) for part, who in found},
    }
