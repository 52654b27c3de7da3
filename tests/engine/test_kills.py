"""Real processes killed at random moments; what is trained in the end is what an undisturbed process trains."""

import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tests.engine.dice import make_dice
from tests.engine.here import lay_job, with_options
from tests.engine.runs import Supervised
from webapp.contract.events import Event, Stepped
from webapp.contract.job_dir import ADAPTER, EVENTS

NEVER = 1_000_000
"""So many events no job tells."""

LONGEST_STEP_SECONDS = 0.02
"""A kill falls within this time after an event, so that it strikes anywhere in a step or in the saving after it."""


class Killed:
    """One job run to its end however often it is killed."""

    def __init__(self, job_dir: Path) -> None:
        self.job_dir = with_options(job_dir, checkpoint_steps=2)
        self.trace: dict[int, float] = {}
        self.num_kills = self.num_events = 0
        self.is_done = False

    def attempt(self, num_events: int, seconds: float) -> None:
        """Killed that long after it has told so many events, if it has not ended by then."""
        (self.job_dir / EVENTS).unlink(missing_ok=True)
        engine = Supervised(self.job_dir)
        deadline = time.monotonic() + 300
        while engine.process.poll() is None and len(engine.events()) < num_events:
            assert time.monotonic() < deadline, engine.events()[-1:]
            time.sleep(0.005)
        time.sleep(seconds)
        engine.kill()
        assert engine.process.returncode in (0, -signal.SIGKILL), engine.events()[-1]
        self.num_kills += engine.process.returncode != 0
        self.is_done = engine.process.returncode == 0
        self.num_events = len(engine.events())
        self._note(engine.events())

    def weights(self) -> dict[str, Tensor]:
        return load_file(self.job_dir / ADAPTER / "adapter_model.safetensors")

    def _note(self, events: list[Event]) -> None:
        """A step done again after a kill must have the loss it had the first time."""
        for event in events:
            if isinstance(event, Stepped):
                assert abs(self.trace.setdefault(event.step, event.loss) - event.loss) < 1e-6, event


def kill_until(num_kills: int, folder: Path) -> int:
    """Jobs one after the other, until so many kills have struck; each job is as the undisturbed one. Returns jobs."""
    dice = make_dice()
    # As the others a process of its own: another number of threads would round otherwise.
    whole = Killed(lay_job(folder, epochs=10))
    whole.attempt(NEVER, 0)
    struck = num_jobs = 0
    while struck < num_kills:
        killed = Killed(lay_job(folder, epochs=10))
        while not killed.is_done:
            is_left_alone = struck + killed.num_kills >= num_kills
            most = NEVER if is_left_alone else dice.randint(1, whole.num_events // 2)
            killed.attempt(most, dice.uniform(0, LONGEST_STEP_SECONDS))
        struck, num_jobs = struck + killed.num_kills, num_jobs + 1
        assert_as_undisturbed(killed, whole)
        shutil.rmtree(killed.job_dir)
    print(f"{struck} kills in {num_jobs} jobs")  # noqa: T201
    return num_jobs


def assert_as_undisturbed(killed: Killed, whole: Killed) -> None:
    assert killed.trace.keys() == whole.trace.keys()
    for step, loss in whole.trace.items():
        assert abs(killed.trace[step] - loss) < 1e-6, step
    for name, weight in whole.weights().items():
        torch.testing.assert_close(killed.weights()[name], weight, rtol=0, atol=1e-6)


def test_three_kills_change_nothing(tmp_path: Path) -> None:
    assert kill_until(3, tmp_path) >= 1


@pytest.mark.slow
def test_fifty_kills_change_nothing(tmp_path: Path) -> None:
    assert kill_until(50, tmp_path) >= 1
