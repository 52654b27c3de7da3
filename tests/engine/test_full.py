"""A disk that is full, memory that is short, weights that are no numbers: told plainly, and nothing half-made left."""

import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.engine.full_disk import files_no_longer_than
from tests.engine.here import Asker, Attempt, lay_job, with_options
from webapp.contract.checkpoint import newest_whole
from webapp.contract.events import Event, Stepped, append_event, read_events
from webapp.contract.job_dir import ADAPTER
from worker.engine import commit
from worker.engine.child import exit_code_of
from worker.engine.errors import TrainingError
from worker.engine.forward import Model
from worker.engine.methods import ENGINE_METHODS
from worker.engine.methods.peft_adapters import WEIGHTS


def cut_from(kind: str, nth: int = 1, *, phase: str = "") -> Callable[[Event], None]:
    """From that event on every file is cut at 2,000 bytes; for use inside `files_no_longer_than`, which ends it."""
    moment = Asker("stop", kind, nth, phase=phase)

    def hear(event: Event) -> None:
        moment.hear(event)
        if moment() == "stop":
            resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    return hear


def test_a_disk_that_fills_while_a_checkpoint_is_written_ends_the_job_and_keeps_the_older_one(tmp_path: Path) -> None:
    job_dir = with_options(lay_job(tmp_path), checkpoint_steps=3)
    with files_no_longer_than(10**9):
        attempt = Attempt(job_dir, also=cut_from("stepped", 5))
    failed = attempt.events[-1]
    assert attempt.exit_code == 4 and failed.kind == "failed" and failed.code == "storage_full"
    assert [path.name for path in (job_dir / "checkpoints").iterdir()] == ["step-00000003"]
    assert newest_whole(job_dir)
    assert Attempt(job_dir).of_kind("started")[0].resumed_step == 3


def test_a_disk_that_fills_while_the_adapter_is_written_leaves_none(tmp_path: Path) -> None:
    job_dir = lay_job(tmp_path)
    with files_no_longer_than(10**9):
        attempt = Attempt(job_dir, also=cut_from("phase_moved", phase="saving"))
    failed = attempt.events[-1]
    assert attempt.exit_code == 4 and failed.kind == "failed" and failed.code == "storage_full"
    assert list(job_dir.glob(f"{ADAPTER}*")) == []
    again = Attempt(job_dir)
    assert (again.exit_code, again.trace) == (0, {}) and again.weights


def test_too_little_room_at_the_start_is_told_with_both_figures(tmp_path: Path) -> None:
    attempt = Attempt(with_options(lay_job(tmp_path), min_free_bytes=10**18))
    (failed,) = attempt.events
    assert attempt.exit_code == 4 and failed.kind == "failed" and failed.code == "storage_full"
    assert "MB free" in failed.message and "1,000,000,000,000 MB are needed" in failed.message
    assert "10" in failed.evidence and "bytes free" in failed.evidence


def test_room_for_twice_the_size_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="2,000,000,000 MB are needed before the adapter is written"):
        commit.need_space(tmp_path, 10**15, min_free_bytes=0, what="the adapter")
    commit.need_space(tmp_path, 10, min_free_bytes=0, what="the adapter")


def test_an_event_that_finds_no_room_is_no_half_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    event = Stepped(step=1, total_steps=2, epoch=1, loss=1, learning_rate=1, tokens=1, tokens_per_second=1)
    append_event(path, event)
    size = path.stat().st_size
    with files_no_longer_than(size + 10), pytest.raises(OSError, match="No space left"):
        append_event(path, event)
    assert path.stat().st_size == size
    append_event(path, event)
    assert len(read_events(path)[0]) == 2


def test_a_job_whose_last_words_find_no_room_still_ends_as_failed(capsys: pytest.CaptureFixture[str]) -> None:
    def no_room(_event: Event) -> None:
        raise OSError(28, "No space left on device")

    def work() -> None:
        raise TrainingError("storage_full", "The disk is full.")

    assert exit_code_of(work, no_room) == 4
    assert "No space left on device" in capsys.readouterr().err


def test_weights_that_are_no_numbers_become_no_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if they had been spoilt on the way to the disk."""
    lora = ENGINE_METHODS["lora"]

    def spoil(model: Model, folder: Path, reference: str) -> None:
        lora.save(model, folder, reference)
        save_file({"a": torch.ones(2), "b": torch.tensor([1.0, float("nan")])}, folder / WEIGHTS)

    monkeypatch.setitem(ENGINE_METHODS, "lora", lora._replace(save=spoil))
    job_dir = lay_job(tmp_path, epochs=1)
    attempt = Attempt(job_dir)
    failed = attempt.events[-1]
    assert attempt.exit_code == 4 and failed.kind == "failed" and failed.code == "loss_not_finite"
    assert failed.evidence == "adapter_model.safetensors: b"
    assert list(job_dir.glob(f"{ADAPTER}*")) == []


def test_half_the_micro_batch_trains_the_same(tmp_path: Path) -> None:
    """In fp32 and without dropout, whose dice fall differently on other pieces."""
    whole = Attempt(lay_job(tmp_path, dropout=0.0))
    halves = Attempt(with_options(lay_job(tmp_path, dropout=0.0), micro_batch_divisor=2))
    assert whole.of_kind("started")[0].precision == "fp32"
    losses = [[loss for loss, _lr, _tokens in attempt.trace.values()] for attempt in (halves, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[0] != losses[1]


def test_memory_that_is_short_while_the_base_model_is_loaded_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried 9 bytes.")

    monkeypatch.setattr("worker.engine.model.AutoModelForCausalLM.from_pretrained", no_memory)
    failed = Attempt(lay_job(tmp_path)).events[-1]
    assert failed.kind == "failed" and failed.code == "out_of_memory"
