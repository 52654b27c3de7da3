"""What a job must do, in plain Python without a database: the oracle that the real services are compared with."""

from dataclasses import dataclass, field

MOST_CRASHES = 3
WAITS = ("queued", "paused")
STOPPABLE = ("starting", "running")
ACTIVE = ("starting", "running", "finalizing")
OVER = ("succeeded", "failed", "cancelled")


@dataclass
class ModelWorker:
    name: str
    intent: str = "active"


@dataclass
class ModelJob:
    """`checkpoints`: attempt -> the newest step that lies in its folder, whoever wrote it and when."""

    state: str = "queued"
    attempt: int = 0
    worker: str | None = None
    avoids: str | None = None
    asked: str = ""
    rests: bool = False
    """After a crash, until its pause is over."""
    is_silent: bool = False
    """Its lease is over."""
    crash_count: int = 0
    progress_step: int = 0
    divisor: int = 1
    phase: str = ""
    live_step: int = 0
    num_engine_events: int = 0
    num_adapters: int = 0
    checkpoints: dict[int, int] = field(default_factory=dict)
    moves: list[str] = field(default_factory=lambda: ["queued"])

    @property
    def newest_step(self) -> int:
        found = [number for number in self.checkpoints if number <= self.attempt]
        return self.checkpoints[max(found)] if found else 0

    def is_held_by(self, attempt: int) -> bool:
        return self.state in ACTIVE and self.attempt == attempt

    def can_go_to(self, worker: ModelWorker) -> bool:
        return self.state == "queued" and not self.rests and worker.intent == "active" and self.avoids != worker.name

    def others(self, workers: list[ModelWorker]) -> list[ModelWorker]:
        fits = [worker for worker in workers if worker.intent == "active" and worker.name != self.avoids]
        return [worker for worker in fits if worker.name != self.worker]

    # What workers do.

    def claim(self, worker: ModelWorker) -> None:
        self.attempt += 1
        self.worker, self.avoids, self.is_silent = worker.name, None, False
        self.phase, self.live_step = "", 0
        self._to("starting")

    def record(self, phase: str, step: int) -> None:
        """One event of progress, and one step where it trains."""
        self.is_silent = False
        if phase != self.phase:
            self.num_engine_events += 1
            self.phase = phase
        if phase == "training":
            self.num_engine_events += 1
            self.live_step = step
            if self.state == "starting":
                self._to("running")

    def finalize(self) -> bool:
        if self.asked == "cancel":
            return False
        self.is_silent = False
        self._to("finalizing")
        return True

    def succeed(self) -> None:
        self.num_adapters += 1
        self._to("succeeded")

    def fail(self) -> None:
        self._to("failed")

    def hand_back(self) -> None:
        if self._give_back():
            self.progress_step, self.rests = self.newest_step, False

    def lose_worker(self) -> None:
        """Nothing is known against a job whose worker vanished once: it need not rest."""
        self.crash(is_lost=True)

    def crash(self, *, is_lost: bool = False) -> None:
        has_progress = self.newest_step > self.progress_step
        count = 1 if has_progress else self.crash_count + 1
        if count >= MOST_CRASHES and self.asked != "cancel":
            self._to("failed")
        elif self._give_back():
            self.crash_count, self.progress_step = count, self.newest_step
            self.rests = not (is_lost and count == 1)

    def out_of_memory(self) -> None:
        if self.divisor > 1 and self.asked != "cancel":
            self._to("failed")
        elif self._give_back():
            self.divisor, self.progress_step = 2, self.newest_step

    def overdue(self) -> None:
        self._to("failed") if self.state == "running" else self.lose_worker()

    # What people do. False: too late.

    def cancel(self) -> bool:
        if self.state in WAITS:
            self.live_step = 0
            self._to("cancelled")
            return True
        return self._ask("cancel")

    def pause(self) -> bool:
        if self.state == "queued":
            self._to("paused")
        return self.state == "paused" or self._ask("pause")

    def keep(self) -> bool:
        return self._ask("keep")

    def move_away(self) -> bool:
        return self._ask("move")

    def resume(self) -> bool:
        if self.state != "paused":
            return False
        self.avoids, self.rests, self.crash_count = None, False, 0
        self._to("queued")
        return True

    def _ask(self, what: str) -> bool:
        if self.state not in STOPPABLE or (self.asked == "cancel" and what != "cancel"):
            return False
        self.asked = what
        return True

    def _give_back(self) -> bool:
        """True if the job goes on some day."""
        asked, worker = self.asked, self.worker
        if asked == "cancel" and self.state in STOPPABLE:
            self._to("cancelled")
            return False
        to = "paused" if asked == "pause" and self.state in STOPPABLE else "queued"
        self._to(to)
        if to == "queued":
            self.live_step = 0
        self.asked = "keep" if asked == "keep" and to == "queued" else ""
        self.avoids = worker if asked == "move" else None
        return True

    def _to(self, state: str) -> None:
        self.state = state
        self.moves.append(state)
        if state not in ACTIVE:
            self.worker, self.asked, self.is_silent = None, "", False
