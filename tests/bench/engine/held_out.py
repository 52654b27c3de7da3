"""Mean loss of the base with an adapter on held-out rows, by the engine's own hands whoever trained the adapter.

python -m tests.bench.engine.held_out BASE_MODEL ADAPTER ROWS.jsonl    in a process of its own: it loads torch
"""

import json
import subprocess
import sys
from pathlib import Path

from tests.bench.engine.turn import environment
from tests.stack import PROJECT


def held_out_loss(base_model: Path, adapter: Path, rows: Path) -> float:
    words = [sys.executable, "-m", "tests.bench.engine.held_out", str(base_model), str(adapter), str(rows)]
    done = subprocess.run(words, cwd=PROJECT, env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"the held-out rows could not be measured: {done.stderr[-800:]}")
    return float(done.stdout)


def _measured(base_model: Path, adapter: Path, rows: Path) -> float:
    from peft import PeftModel

    from worker.engine.encode import Encoded
    from worker.engine.measure import mean_loss
    from worker.engine.model import choose_place, load_base

    base = load_base(base_model, "generate", choose_place(base_model, "generate"), [])
    encoded = []
    for line in rows.read_text().splitlines():
        row = json.loads(line)
        encoded.append(Encoded(row["input_ids"], [label >= 0 for label in row["labels"]], row["input_ids"]))
    return mean_loss(PeftModel.from_pretrained(base, adapter), encoded)


if __name__ == "__main__":
    print(_measured(*map(Path, sys.argv[1:])))  # noqa: T201
