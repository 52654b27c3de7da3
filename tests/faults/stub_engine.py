"""An engine without torch for the high-count runs: trains nothing, but checkpoints, resumes, stops and commits its
files as the real one does. Run by a worker whose GRAFTWORK_ENGINE_MODULE is `tests.faults.stub_engine`.

What a job shall do stands in its name, as in "steps=20 seconds=0.05 crash=7 signal=11 deaf":

    steps, seconds     how many steps, and how long each takes
    crash, signal      at this step of every attempt that reaches it, this signal to itself (9 without)
    once               ... only in the first attempt
    deaf               heeds neither the control pipe's letters nor SIGTERM
    stall              at this step nothing happens any more
    fail               at this step a Failed event with the code of this name
    hog                megabytes to allocate at the first step
    grandchild         starts a process that would outlive it
    big                megabytes the adapter weighs
    files              how many small files the adapter has beside

A step appends its number to the trace, and the trace is the adapter's weights: what was trained twice or left out
shows in the bytes.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.adapters.verdicts import make_held_out, make_verdict
from webapp.contract.checkpoint import CheckpointManifest, checkpoint_name, checkpoint_problem, checkpoints_in
from webapp.contract.events import (
    CheckpointSaved,
    Event,
    Failed,
    Finished,
    FinishedEarly,
    PhaseMoved,
    Saved,
    Started,
    Stepped,
    Stopped,
    append_event,
)
from webapp.contract.held_out import held_out_text
from webapp.contract.job_dir import (
    ADAPTER,
    CHECKPOINTS,
    EVENTS,
    FACTS,
    HELD_OUT,
    MANIFEST,
    OPTIONS,
    RECIPE,
    VERDICT,
    Facts,
    FileEntry,
    Manifest,
    Options,
)
from webapp.contract.recipe import Recipe
from worker.engine.child import FAILED, STOPPED, failure_of
from worker.engine.errors import is_storage_full
from worker.engine.stop import control_pipe, never

CHECKPOINT_STEPS = 2
TRACE = "trace.json"


class Stub:
    def __init__(self, job_dir: Path, words: dict[str, str], is_supervised: bool) -> None:
        self.job_dir, self.words = job_dir, words
        self.steps = int(words.get("steps", 10))
        self.wanted = control_pipe() if is_supervised else never
        self.trace: list[int] = []
        self.is_first = job_dir.name == "1"
        self.options = Options.model_validate_json((job_dir / OPTIONS).read_text())
        self.facts = Facts.model_validate_json((job_dir / FACTS).read_text())

    def report(self, event: Event) -> None:
        append_event(self.job_dir / EVENTS, event)

    def run(self) -> int:
        self.report(PhaseMoved(phase="loading", sentence="Loading."))
        resumed = self.resume()
        self.report(_started(self.steps, resumed))
        if "hog" in self.words:
            hog(int(self.words["hog"]))
        if "grandchild" in self.words:
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", str(self.job_dir)])
        for step in range(resumed + 1, self.steps + 1):
            wanted = "go_on" if "deaf" in self.words else self.wanted()
            if wanted in ("stop", "cancel"):
                if wanted == "stop" and self.trace:
                    self.checkpoint()
                self.report(Stopped(step=len(self.trace)))
                return STOPPED
            if wanted == "keep" and self.trace:
                self.report(FinishedEarly(step=len(self.trace), total_steps=self.steps))
                break
            code = self.step(step)
            if code is not None:
                return code
        self.commit()
        return 0

    def step(self, step: int) -> int | None:
        time.sleep(float(self.words.get("seconds", 0.02)))
        self.misbehave(step)
        if self.words.get("fail") and step == 2:
            self.report(Failed(code=self.words["fail"], message="It failed as told.", evidence=f"step {step}"))  # type: ignore[arg-type]
            return FAILED
        self.trace.append(step)
        self.report(_stepped(step, self.steps))
        if step % CHECKPOINT_STEPS == 0:
            self.checkpoint()
        return None

    def misbehave(self, step: int) -> None:
        if step == int(self.words.get("crash", 0)) and (self.is_first or "once" not in self.words):
            os.kill(os.getpid(), int(self.words.get("signal", 9)))
            time.sleep(5)
        if step == int(self.words.get("stall", 0)) and self.is_first:
            time.sleep(600)

    def resume(self) -> int:
        for checkpoint in checkpoints_in(self.job_dir):
            if checkpoint_problem(checkpoint) is None:
                self.trace = json.loads((checkpoint.folder / TRACE).read_text())
                assert len(self.trace) == checkpoint.manifest.step
                return checkpoint.manifest.step
        return 0

    def checkpoint(self) -> None:
        step = len(self.trace)
        folder = self.job_dir / CHECKPOINTS / checkpoint_name(step)
        if folder.exists():
            return
        part = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        (part / TRACE).write_text(json.dumps(self.trace))
        manifest = CheckpointManifest(
            step=step, total_steps=self.steps, epoch=step / self.steps, held_out_loss=None, best_step=step,
            recipe_sha256="0" * 64, split_sha256=self.facts.split_sha256, made_at=time.time(),
            files=(_entry(part / TRACE),),
        )  # fmt: skip
        (part / MANIFEST).write_text(manifest.model_dump_json())
        part.rename(folder)
        self.report(CheckpointSaved(step=step, size_bytes=manifest.size_bytes, seconds=0.0))
        for old in checkpoints_in(self.job_dir)[self.options.keep_checkpoints :]:
            shutil.rmtree(old.folder)

    def commit(self) -> None:
        recipe = Recipe.model_validate_json((self.job_dir / RECIPE).read_text())
        folder = self.job_dir / f"{ADAPTER}.partial"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        padding = " " * (int(self.words.get("big", 0)) * 1_000_000)
        (folder / "adapter_model.safetensors").write_text(json.dumps(self.trace) + padding)
        (folder / "README.md").write_text("A stub's adapter.")
        for number in range(int(self.words.get("files", 0))):
            (folder / f"token-{number}.json").write_text("{}")
        manifest = Manifest(
            method=recipe.method, task=recipe.task, base_model=recipe.base_model, base_model_sha256="0" * 64,
            files=tuple(_entry(path) for path in sorted(folder.iterdir())),
        )  # fmt: skip
        (folder / MANIFEST).write_text(manifest.model_dump_json())
        (self.job_dir / HELD_OUT).write_text(held_out_text(make_held_out()))
        (self.job_dir / VERDICT).write_text(make_verdict().model_dump_json())
        folder.rename(self.job_dir / ADAPTER)
        self.report(Saved(manifest_sha256="0" * 64, size_bytes=1))
        self.report(Finished(train_seconds=1, total_seconds=1))


def hog(megabytes: int) -> None:
    """Touch every page, so that it really is taken."""
    blocks = []
    for _ in range(megabytes):
        blocks.append(bytearray(os.urandom(1)) * 1_000_000)
        time.sleep(0.002)


def words_of(name: str) -> dict[str, str]:
    return {word.partition("=")[0]: word.partition("=")[2] for word in name.split()}


def _entry(path: Path) -> FileEntry:
    content = path.read_bytes()
    return FileEntry(name=path.name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _started(steps: int, resumed: int) -> Started:
    return Started(
        trainable_params=1, total_params=10, num_train_rows=42, num_validation_rows=6, num_test_rows=12,
        total_steps=steps, device="stub", precision="none", resumed_step=resumed,
    )  # fmt: skip


def _stepped(step: int, steps: int) -> Stepped:
    return Stepped(
        step=step, total_steps=steps, epoch=step / steps, loss=1 / step, learning_rate=0.1, tokens=step,
        tokens_per_second=1.0, seconds_left=float(steps - step),
    )  # fmt: skip


def main() -> int:
    job_dir = Path(sys.argv[1])
    words = words_of(Facts.model_validate_json((job_dir / FACTS).read_text()).name)
    if "deaf" in words:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stub = Stub(job_dir, words, "--supervised" in sys.argv)
    try:
        return stub.run()
    except OSError as error:
        if not is_storage_full(error):
            raise
        with contextlib.suppress(OSError):
            stub.report(failure_of(error))
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
