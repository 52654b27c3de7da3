"""How a run ends when it cannot end well: with an exit code, an event, and a sentence that says what to do."""

import errno
import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tests.engine.runs import Supervised, events_of, run_engine
from tests.tiny import capitals, lay_job_dir, lay_job_dir_of, make_bert, make_llama, tiny_recipe, vowels
from webapp.contract.checkpoint import checkpoints_in
from webapp.contract.events import Failed, Stepped, append_event
from webapp.contract.job_dir import ADAPTER, BASE_MODEL, EVENTS, FACTS, RECIPE, ROWS
from worker.engine.child import exit_code_of
from worker.engine.child import failure_of as failure_of_error
from worker.engine.stop import never, strongest
from worker.engine.train import train

ENDLESS = {"epochs": 100, "batch_size": 1}


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llama(tmp_path_factory.mktemp("llama") / "base")


@pytest.fixture
def job_dir(llama: Path, tmp_path: Path) -> Path:
    return lay_job_dir(tmp_path / "job", tiny_recipe(llama, epochs=1), capitals(), llama)


def failure_of(job_dir: Path) -> Failed:
    """It must give up with a Failed event as its last word and leave nothing half-made."""
    exit_code, last = ended_here(job_dir)
    assert exit_code == 4, last
    assert not (job_dir / ADAPTER).exists()
    return last


def ended_here(job_dir: Path) -> tuple[int, Failed]:
    """Run as the child does, but in this process, which has torch loaded already."""
    report = partial(append_event, job_dir / EVENTS)
    exit_code = exit_code_of(lambda: train(job_dir, never, report), report)
    last = events_of(job_dir)[-1]
    assert isinstance(last, Failed)
    return exit_code, last


def change_recipe(job_dir: Path, **changes: Any) -> None:
    recipe = json.loads((job_dir / RECIPE).read_text())
    (job_dir / RECIPE).write_text(json.dumps({**recipe, **changes}))


def test_an_unknown_field_of_the_recipe_is_named(job_dir: Path) -> None:
    change_recipe(job_dir, sede=3)
    process = run_engine(job_dir)
    failed = events_of(job_dir)[-1]
    assert process.returncode == 4, process.stderr
    assert isinstance(failed, Failed) and failed.code == "data"
    assert "recipe.json" in failed.message and "“sede”" in failed.message and "“seed”" in failed.message


def test_a_learning_rate_out_of_bounds_is_refused(job_dir: Path) -> None:
    change_recipe(job_dir, knobs={**json.loads((job_dir / RECIPE).read_text())["knobs"], "learning_rate": 1e9})
    assert "Learning rate" in failure_of(job_dir).message


def test_missing_rows_are_told(job_dir: Path) -> None:
    (job_dir / ROWS).unlink()
    failed = failure_of(job_dir)
    assert failed.code == "data" and "rows.parquet" in failed.message


def test_damaged_rows_are_told(job_dir: Path) -> None:
    (job_dir / ROWS).write_bytes((job_dir / ROWS).read_bytes()[:500])
    failed = failure_of(job_dir)
    assert failed.code == "data" and "damaged" in failed.message


def test_a_base_model_without_its_weights_is_told(job_dir: Path, tmp_path: Path) -> None:
    base = make_llama(tmp_path / "broken")
    (base / "model.safetensors").write_bytes(b"not weights at all")
    (job_dir / BASE_MODEL).unlink()
    (job_dir / BASE_MODEL).symlink_to(base)
    failed = failure_of(job_dir)
    assert failed.code == "base_model" and "another base model" in failed.message


def test_a_base_model_whose_loss_is_no_number_is_told(job_dir: Path, tmp_path: Path) -> None:
    base = make_llama(tmp_path / "broken")
    weights = load_file(base / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], float("inf"))
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    (job_dir / BASE_MODEL).unlink()
    (job_dir / BASE_MODEL).symlink_to(base)
    failed = failure_of(job_dir)
    assert failed.code == "base_model" and "not a number" in failed.message


def test_a_conversation_the_template_refuses_is_told_with_its_line(llama: Path, tmp_path: Path) -> None:
    base = make_llama(tmp_path / "base")
    (base / "chat_template.jinja").write_text(
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('No system here') }}{% endif %}"
        "{{ m['content'] }}{% endfor %}"
    )
    rows: list[dict[str, Any]] = [{"input": one, "output": two, "messages": None} for one, two in capitals()]
    roles = ("system", "user", "assistant")
    rows[7]["messages"] = [{"role": role, "content": rows[7]["input"]} for role in roles]
    job_dir = lay_job_dir_of(tmp_path / "job", tiny_recipe(base), rows, base)
    failed = failure_of(job_dir)
    assert failed.code == "template" and failed.message.startswith("Line 9: ") and "No system here" in failed.message


def test_a_bug_of_ours_is_owned_up_to(job_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (job_dir / FACTS).unlink()
    (job_dir / FACTS).mkdir()
    exit_code, failed = ended_here(job_dir)
    assert exit_code == 1
    assert failed.code == "our_bug" and "not your mistake" in failed.message
    assert "IsADirectoryError" in failed.evidence and "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "storage_full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "storage_full"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "storage_full"),
        (MemoryError(), "out_of_memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out_of_memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to get 9."), "out_of_memory"),
        (RuntimeError("std::bad_alloc"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"), "out_of_memory"),
    ],
)
def test_a_machine_that_is_too_small_says_what_helps(error: Exception, code: str) -> None:
    failed = failure_of_error(error)
    assert failed.code == code
    assert "Free some space" in failed.message or "Lower the batch size" in failed.message


@pytest.fixture
def endless(llama: Path, tmp_path: Path) -> Any:
    """An engine that would train for long."""
    rows = capitals()
    supervised = Supervised(lay_job_dir(tmp_path / "job", tiny_recipe(llama, **ENDLESS), rows, llama))
    yield supervised
    supervised.process.kill()
    supervised.process.wait()


def test_asked_to_stop_it_saves_a_checkpoint_and_stops_between_two_steps(endless: Supervised) -> None:
    endless.wait_for("stepped")
    endless.say(b"S\n")
    assert endless.process.wait(30) == 3
    last = endless.events()[-1]
    steps = [event.step for event in endless.events() if isinstance(event, Stepped)]
    assert last.kind == "stopped" and last.step == steps[-1]
    assert [one.manifest.step for one in checkpoints_in(endless.job_dir)] == [last.step]
    assert not (endless.job_dir / ADAPTER).exists()


def test_a_cancel_said_after_a_stop_still_cancels(endless: Supervised) -> None:
    endless.wait_for("phase_moved")
    endless.say(b"KSC\n")
    assert endless.process.wait(60) == 3
    assert [event.kind for event in endless.events()][-1] == "stopped"
    assert not [event for event in endless.events() if event.kind == "stepped"]
    assert checkpoints_in(endless.job_dir) == []


@pytest.mark.parametrize(
    ("letters", "word"),
    [("", "go_on"), ("K", "keep"), ("S", "stop"), ("C", "cancel"), ("SK", "stop"), ("CKS", "cancel"), ("x", "go_on")],
)
def test_the_strongest_word_is_heard(letters: str, word: str) -> None:
    assert strongest({letter.encode() for letter in letters}) == word


def test_when_its_supervisor_vanishes_it_dies(endless: Supervised) -> None:
    endless.wait_for("stepped")
    assert endless.process.stdin is not None
    endless.process.stdin.close()
    assert endless.process.wait(10) == -signal.SIGKILL


def test_labels_it_was_not_made_for_are_no_hindrance(tmp_path: Path) -> None:
    """A base with a head for five labels, two labels in the rows."""
    base = make_bert(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    weights = {f"bert.{name}": weight for name, weight in weights.items()}
    weights |= {"classifier.weight": torch.zeros(5, 32), "classifier.bias": torch.zeros(5)}
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    recipe = tiny_recipe(base, task="classify", epochs=1)
    job_dir = lay_job_dir(tmp_path / "job", recipe, vowels(), base)
    train(job_dir, never, lambda _event: None)
    assert (job_dir / ADAPTER / "manifest.json").exists()
