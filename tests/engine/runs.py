"""The engine run as the worker runs it: in a process of its own, on a job folder with a tiny base model."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from tests.stack import PROJECT
from tests.tiny import (
    capitals,
    lay_job_dir,
    make_bert,
    make_bert_without_pooler,
    make_gpt2,
    make_llama,
    make_roberta,
    make_t5,
    tiny_recipe,
    vowels,
)
from webapp.contract.events import Event, read_events
from webapp.contract.job_dir import ADAPTER, EVENTS, VERDICT
from webapp.contract.verdict import Verdict

MAKERS = {
    "llama": make_llama, "gpt2": make_gpt2, "bert": make_bert, "roberta": make_roberta, "t5": make_t5,
    "bert without pooler": make_bert_without_pooler,
}  # fmt: skip
KINDS = {"generate": "llama", "classify": "bert", "transform": "t5"}
ROWS = {"generate": capitals, "classify": vowels, "transform": capitals}
QUICK = {"epochs": 3, "learning_rate": 0.02}


class Run:
    """One run of the engine and what it left."""

    def __init__(self, folder: Path, *, task: str, method: str, base: Path | None = None, **knobs: Any) -> None:
        self.task, self.method = task, method
        self.base = base or MAKERS[KINDS[task]](folder / "base")
        self.base_before = digest_of(self.base)
        self.recipe = tiny_recipe(self.base, task=task, method=method, **{**QUICK, **knobs})
        self.job_dir = lay_job_dir(folder / "job", self.recipe, ROWS[task](), self.base)
        self.process = run_engine(self.job_dir)

    @cached_property
    def events(self) -> list[Event]:
        return events_of(self.job_dir)

    @cached_property
    def verdict(self) -> Verdict:
        return Verdict.model_validate_json((self.job_dir / VERDICT).read_text())

    @property
    def adapter(self) -> Path:
        return self.job_dir / ADAPTER

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        return load_file(self.adapter / "adapter_model.safetensors")

    def of_kind(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.kind == kind]


def run_engine(job_dir: Path, *, num_threads: int = 1) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker.engine", str(job_dir)],
        cwd=PROJECT,
        env={**os.environ, "OMP_NUM_THREADS": str(num_threads)},
        capture_output=True,
        text=True,
    )


class Supervised:
    """The engine with its control pipe in our hands, in a process group of its own."""

    def __init__(self, job_dir: Path) -> None:
        self.job_dir = job_dir
        self.process = subprocess.Popen(
            [sys.executable, "-m", "worker.engine", str(job_dir), "--supervised"],
            cwd=PROJECT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip

    def wait_for(self, kind: str) -> Event:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if found := [event for event in self.events() if event.kind == kind]:
                return found[0]
            assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
            time.sleep(0.05)
        raise AssertionError(f"no {kind} in a minute")

    def events(self) -> list[Event]:
        return events_of(self.job_dir) if (self.job_dir / EVENTS).exists() else []

    def say(self, words: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(words)
        self.process.stdin.flush()

    def kill(self) -> None:
        """Nothing to do if it has ended by itself."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def events_of(job_dir: Path) -> list[Event]:
    return read_events(job_dir / EVENTS)[0]


def digest_of(folder: Path) -> dict[str, str]:
    """File -> sha256."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
