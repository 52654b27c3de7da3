"""One job over several processes, real ones over gloo: it trains what a lone one trains, and they end together."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import torch

from tests.engine.here import Attempt, asked, lay_job, with_options
from tests.engine.runs import Supervised, events_of, run_engine
from tests.processes import goes
from tests.stack import PROJECT
from webapp.contract.events import Event
from webapp.contract.methods import METHODS
from worker.engine.process_group import deal
from worker.supervisor import Leash, Order
from worker.supervisor import run_engine as run_supervised

CLOSE = 1e-5
WITHOUT_BF16 = Path(__file__).parent / "without_bf16"
"""bf16 rounds by which rows go together, and a classifier takes its steps in it where the machine is fast at it."""


def losses(events: list[Event]) -> dict[int, float]:
    return {event.step: event.loss for event in events if event.kind == "stepped"}


def assert_same_training(found: dict[int, float], whole: Attempt) -> None:
    assert found.keys() == whole.trace.keys()
    for step, (loss, _rate, _tokens) in whole.trace.items():
        assert found[step] == pytest.approx(loss, rel=CLOSE), step


def assert_same_weights(job_dir: Path, whole: Attempt) -> None:
    again = Attempt.__new__(Attempt)
    again.job_dir = job_dir
    assert again.weights.keys() == whole.weights.keys()
    for name, weight in whole.weights.items():
        torch.testing.assert_close(again.weights[name], weight, rtol=1e-4, atol=1e-4)


def torchrun(*words: str) -> subprocess.CompletedProcess[str]:
    """Two processes, as a person starts them by hand."""
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *words],
        cwd=PROJECT, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)},
        capture_output=True, text=True,
    )  # fmt: skip


def test_rows_are_dealt_alike_in_tokens_and_all_of_them() -> None:
    lengths = [9, 1, 5, 4, 4, 1]
    shares = deal([0, 1, 2, 3, 4, 5], lengths, 2)
    assert [sum(lengths[number] for number in share) for share in shares] == [13, 11]
    assert sorted(shares[0] + shares[1]) == [0, 1, 2, 3, 4, 5]
    assert deal([3], lengths, 3) == [[3], [], []]


def test_what_one_process_began_two_end_as_if_it_had_been_one(tmp_path: Path) -> None:
    """Started by torchrun. An epoch's last step has a single row, so that one of them has none."""
    knobs = {"dropout": 0.0, "batch_size": 41, "epochs": 4}
    whole = Attempt(lay_job(tmp_path, **knobs))
    assert len(whole.trace) == 8, "a second step an epoch, with what is left of the rows"
    job_dir = lay_job(tmp_path, **knobs)
    first = asked(job_dir, "stop", "stepped", 3)
    done = torchrun("-m", "worker.engine", str(job_dir))
    assert done.returncode == 0, done.stderr
    assert_same_training(losses(first.events) | losses(events_of(job_dir)), whole)
    assert_same_weights(job_dir, whole)
    assert not list(job_dir.glob("cache*"))


def test_what_two_processes_began_with_a_shared_out_base_one_ends_alone(tmp_path: Path) -> None:
    knobs = {"dropout": 0.0}
    whole = Attempt(lay_job(tmp_path, **knobs))
    job_dir = with_options(lay_job(tmp_path, **knobs), num_processes=2, is_sharded=True)
    with running(job_dir) as engine:
        engine.wait_for("evaluated")
        engine.say(b"S\n")
        assert engine.process.wait(60) == 3, engine.events()[-1]
        others_are_gone(engine)
    began = losses(engine.events())
    assert 0 < len(began) < len(whole.trace)
    ended = Attempt(with_options(job_dir))
    assert_same_training(began | losses(ended.events), whole)
    assert_same_weights(job_dir, whole)


HOLDS = """
import sys
from pathlib import Path
import torch
from torch.distributed.tensor import DTensor
from webapp.contract.recipe import Recipe
from worker.engine.methods import ENGINE_METHODS
from worker.engine.model import Place, load_base
from worker.engine.process_group import ProcessGroup
from worker.engine.processes import seat_taken
from worker.engine.sharding import share_out
job_dir = Path(sys.argv[1])
group = ProcessGroup(seat_taken(), is_sharded=True)
recipe = Recipe.model_validate_json((job_dir / "recipe.json").read_text())
here = torch.device("cpu")
base = load_base(job_dir / "base_model", "generate", Place(here, torch.float32, torch.float32), [])
model = ENGINE_METHODS["lora"].build(base, recipe, job_dir / "base_model")
whole = {name: one.numel() for name, one in model.named_parameters()}
share_out(model, group, here)
for name, one in model.named_parameters():
    held = one.to_local().numel() if isinstance(one, DTensor) else one.numel()
    is_frozen_block = ".layers." in name and not one.requires_grad
    assert held == whole[name] // (2 if is_frozen_block else 1), (name, held, whole[name])
"""


@pytest.mark.slow
def test_of_a_shared_out_block_each_holds_half_and_of_what_is_trained_all(tmp_path: Path) -> None:
    (tmp_path / "holds.py").write_text(HOLDS)
    done = torchrun(str(tmp_path / "holds.py"), str(lay_job(tmp_path)))
    assert done.returncode == 0, done.stderr


@contextmanager
def running(job_dir: Path) -> Iterator[Supervised]:
    engine = Supervised(job_dir)
    try:
        yield engine
    finally:
        engine.kill()


def others_of(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def others_are_gone(engine: Supervised) -> None:
    """Nobody of the job's session lives on."""
    left = [
        one for one in psutil.process_iter() if one.pid != engine.process.pid and _session(one) == engine.process.pid
    ]
    assert all(goes(one.pid) for one in left)


def _session(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return 0


@pytest.mark.slow
@pytest.mark.parametrize(("end", "code"), [("cancel", 3), ("supervisor", -signal.SIGKILL), ("first", -signal.SIGKILL)])
def test_however_the_first_ends_nobody_is_left(tmp_path: Path, end: str, code: int) -> None:
    job_dir = with_options(lay_job(tmp_path, epochs=100, patience=0), num_processes=2)
    with running(job_dir) as engine:
        engine.wait_for("stepped")
        assert len(others_of(engine.process.pid)) == 1
        if end == "cancel":
            engine.say(b"C\n")
        elif end == "supervisor":
            assert engine.process.stdin
            engine.process.stdin.close()
        else:
            os.kill(engine.process.pid, signal.SIGKILL)
        assert engine.process.wait(20) == code
        others_are_gone(engine)
    assert not [event for event in engine.events() if event.kind == "failed"]


def test_when_another_dies_the_whole_job_has_crashed_as_it_did(tmp_path: Path) -> None:
    job_dir = with_options(lay_job(tmp_path, epochs=100, patience=0), num_processes=2)
    told: list[Event] = []

    def tick(events: list[Event]) -> Order:
        told.extend(events)
        if any(event.kind == "stepped" for event in events):
            for other in [one for mine in psutil.Process().children() for one in mine.children()]:
                other.kill()
        return "go_on"

    outcome = run_supervised(job_dir, tick, Leash(more={"OMP_NUM_THREADS": "1"}), module="worker.engine")
    assert (outcome.exit_code, outcome.why_killed) == (-signal.SIGKILL, "")
    said = [event.sentence for event in told if event.kind == "phase_moved"][-1]
    assert said == "Process 2 of 2 ended by signal 9 (SIGKILL), so the others end as well."
    assert (job_dir / "engine.log").read_text().rstrip().endswith(said)


@pytest.mark.slow
def test_what_goes_wrong_in_another_is_told_in_its_own_words(tmp_path: Path) -> None:
    """Something lies where it keeps its rows."""
    job_dir = with_options(lay_job(tmp_path), num_processes=2)
    (job_dir / "cache.1").write_text("a file where its folder should be")
    done = run_engine(job_dir)
    (failed,) = [event for event in events_of(job_dir) if event.kind == "failed"]
    assert done.returncode == 1 and failed.code == "our_bug"
    assert "cache.1" in failed.evidence


MEASURES_LONG = """
import sys, time
from worker.engine.__main__ import main
from worker.engine.measuring import Measuring
from worker.engine.processes import ECHO_SECONDS
after = Measuring.after
def slowly(*given):
    time.sleep(2 * ECHO_SECONDS)
    return after(*given)
Measuring.after = slowly
sys.exit(main())
"""


def test_the_first_goes_on_alone_once_training_is_over(tmp_path: Path) -> None:
    job_dir = with_options(lay_job(tmp_path), num_processes=2)
    (tmp_path / "first.py").write_text(MEASURES_LONG)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}
    done = subprocess.run([sys.executable, str(tmp_path / "first.py"), str(job_dir)], cwd=PROJECT, env=environment)
    assert (done.returncode, events_of(job_dir)[-1].kind) == (0, "finished")


@pytest.mark.slow
@pytest.mark.parametrize("knobs", [{"init": "pissa"}, {"variant": "dora"}, {"gradient_checkpointing": "yes"}], ids=str)
def test_variants_of_lora_train_the_same_beside_a_shared_out_base(knobs: dict[str, str], tmp_path: Path) -> None:
    whole = Attempt(lay_job(tmp_path, dropout=0.0, **knobs))
    job_dir = lay_job(tmp_path, dropout=0.0, **knobs)
    done = run_engine(with_options(job_dir, num_processes=2, is_sharded=True))
    assert done.returncode == 0, done.stderr
    assert_same_training(losses(events_of(job_dir)), whole)
    assert_same_weights(job_dir, whole)


@pytest.mark.slow
@pytest.mark.parametrize("is_sharded", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", ["generate", "classify", "transform"])
def test_every_method_trains_the_same_in_two(
    method: str, task: str, is_sharded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(WITHOUT_BF16))
    monkeypatch.setattr("worker.engine.model.cpu_has_bf16", lambda: False)
    # A BERT drops out at random whatever the recipe says, and each process at other places.
    knobs = {"epochs": 2, **({"dropout": 0.0} if method == "lora" else {})}
    kind = "t5" if task == "transform" else "llama"
    whole = Attempt(lay_job(tmp_path, task=task, method=method, kind=kind, **knobs))
    assert whole.exit_code == 0
    job_dir = lay_job(tmp_path, task=task, method=method, kind=kind, **knobs)
    done = run_engine(with_options(job_dir, num_processes=2, is_sharded=is_sharded))
    assert done.returncode == 0, done.stderr
    assert_same_training(losses(events_of(job_dir)), whole)
