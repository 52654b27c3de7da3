"""What a training child says while it works: one JSON line each in `events.jsonl`, read and written here only.

The engine appends, the recorder reads. Event names are in the past tense. Times are seconds since the epoch,
durations are seconds, sizes are bytes.
"""

import errno
import os
import threading
import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from webapp.contract.failures import EngineFailure


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at: float = Field(default_factory=time.time)


class PhaseMoved(_Event):
    """Progress of what is done right now, for the bar: `done` of `total` in `unit`; `sentence` is for people."""

    kind: Literal["phase_moved"] = "phase_moved"
    phase: Literal["preparing", "loading", "measuring_base", "training", "measuring_tuned", "saving"]
    sentence: str
    done: float = 0
    total: float = 0
    unit: str = ""
    seconds_left: float | None = None
    """Until the whole job ends, where that can be told; None while it can not."""


class Started(_Event):
    """Model and rows are loaded; training is about to begin. All counts are exact."""

    kind: Literal["started"] = "started"
    trainable_params: int
    total_params: int
    num_train_rows: int
    num_validation_rows: int
    num_test_rows: int
    num_truncated_rows: int = 0
    total_steps: int
    device: str
    threads: int = 0
    """Of a processor; 0: a card, or an older version."""
    flops_a_second: float = 0.0
    """What products reach on these threads; 0: a card, or not measured by this process."""
    precision: str
    resumed_step: int = 0
    """The step of the checkpoint it goes on from; 0 from the beginning."""


class Stepped(_Event):
    """One optimizer step. `loss` is the mean over the labelled tokens (generate) or rows (classify) of the step."""

    kind: Literal["stepped"] = "stepped"
    step: int
    total_steps: int
    epoch: float
    loss: float
    learning_rate: float
    tokens: int
    """Real tokens seen since the start, without padding."""
    tokens_per_second: float
    seconds_left: float | None = None
    peak_memory_bytes: int = 0


class Evaluated(_Event):
    """Mean loss over the validation rows, which are never trained on; step 0 is before the first update."""

    kind: Literal["evaluated"] = "evaluated"
    step: int
    epoch: float
    loss: float
    is_best: bool = False
    forgetting: float | None = None
    """How much worse than the untouched base on a few general texts (see `verdict.Forgetting`); None: not measured."""


class CheckpointSaved(_Event):
    """`checkpoints/` has a new whole folder."""

    kind: Literal["checkpoint_saved"] = "checkpoint_saved"
    step: int
    size_bytes: int
    seconds: float
    """What writing it took."""


class CheckpointRefused(_Event):
    """A checkpoint that did not verify was passed over; `reason` says what is wrong with it."""

    kind: Literal["checkpoint_refused"] = "checkpoint_refused"
    step: int
    reason: str


class WaitPolicyChanged(_Event):
    """The threads of a job on a processor wait for each other otherwise than before; what is computed stays the same.

    `sleep`: other programs take `cores_of_others` of the processor, so waiting threads leave their cores to them.
    `spin`: there are no others any more, and spinning is quicker.
    """

    kind: Literal["wait_policy_changed"] = "wait_policy_changed"
    policy: Literal["spin", "sleep"]
    cores_of_others: float


class Saved(_Event):
    """`adapter/` is complete: its manifest, written last, lists every file with size and sha256."""

    kind: Literal["saved"] = "saved"
    manifest_sha256: str
    size_bytes: int


class Finished(_Event):
    """The whole job is done: `adapter/` and `verdict.json` are there."""

    kind: Literal["finished"] = "finished"
    train_seconds: float
    total_seconds: float


class Stopped(_Event):
    """The engine was asked to stop and did so between two steps."""

    kind: Literal["stopped"] = "stopped"
    step: int


class FinishedEarly(_Event):
    """Training ended before its last step, and what there is is kept; measuring and saving follow."""

    kind: Literal["finished_early"] = "finished_early"
    step: int
    total_steps: int
    why: Literal["asked", "no_longer_improving"] = "asked"


class Failed(_Event):
    """The engine gave up. `message` says what happened, where and what to do, in plain words."""

    kind: Literal["failed"] = "failed"
    code: EngineFailure
    message: str
    evidence: str = ""
    """The line of the log that shows it."""


Event = Annotated[
    PhaseMoved
    | Started
    | Stepped
    | Evaluated
    | CheckpointSaved
    | CheckpointRefused
    | WaitPolicyChanged
    | Saved
    | Finished
    | FinishedEarly
    | Stopped
    | Failed,
    Field(discriminator="kind"),
]

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_ONE_WRITER = threading.Lock()
"""Threads of one process may report at the same moment, and a line that found no room is cut off again."""


def append_event(path: Path, event: Event) -> None:
    """Add one line to the file, whole or not at all; only a dying machine may leave one torn at the very end.

    Raises OSError where the disk has no room for it.
    """
    with _ONE_WRITER:
        _append(path, event.model_dump_json().encode() + b"\n")


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        begin = os.fstat(descriptor).st_size
        if os.write(descriptor, line) != len(line):
            # Half a line would swallow the next one that finds room.
            os.ftruncate(descriptor, begin)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(descriptor)


def read_events(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Events from a byte offset on, and the offset to go on from. A torn last line is left for the next call."""
    if not path.exists():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        whole, newline, _torn = file.read().rpartition(b"\n")
    if not newline:
        return [], offset
    return [_EVENT.validate_json(line) for line in whole.split(b"\n")], offset + len(whole) + 1
