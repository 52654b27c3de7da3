"""How long `manage.py demo` takes in a fresh data folder; of two checkouts in alternation, to compare them.

python -m tests.bench demo [--repeats 3] [--against CHECKOUT] [--json PATH]

The other checkout has an environment of its own in `.venv`. Each run is a line of JSON in `results/demo.jsonl`.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.engine.figures import machine
from tests.stack import PROJECT, environment_of_a_person

RESULTS = Path(__file__).parent / "results" / "demo.jsonl"
KEPT = ("base_metric", "tuned_metric", "train_seconds", "total_seconds")


def demo(words: list[str]) -> Iterator[str]:
    parser = argparse.ArgumentParser(prog="python -m tests.bench demo")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout, with its own .venv")
    parser.add_argument("--json", type=Path, default=RESULTS)
    asked = parser.parse_args(words)
    checkouts = {PROJECT: sys.executable}
    if asked.against:
        checkouts[asked.against] = str(asked.against / ".venv" / "bin" / "python")
    for _repeat in range(asked.repeats):
        for checkout, python in checkouts.items():
            line = json.dumps(_run(checkout, python))
            with asked.json.open("a") as file:
                file.write(line + "\n")
            yield line


def _run(checkout: Path, python: str) -> dict[str, object]:
    """One demo, from the start of the process to its end. Raises CalledProcessError where it fails."""
    home = Path(tempfile.mkdtemp(prefix="gw-", dir="/tmp"))
    try:
        began = time.monotonic()
        subprocess.run(
            [python, "manage.py", "demo", "--json", str(home / "figures.json")],
            cwd=checkout,
            env={**environment_of_a_person(), "GRAFTWORK_HOME": str(home / "data")},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        seconds = round(time.monotonic() - began, 1)
        figures = json.loads((home / "figures.json").read_text())
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return {
        "commit": _commit(checkout),
        "seconds": seconds,
        **{name: figures[name] for name in KEPT},
        "machine": machine(),
    }


def _commit(checkout: Path) -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=checkout, capture_output=True, text=True)
    return found.stdout.strip()
