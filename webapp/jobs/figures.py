"""The figures at the top of a job's page, folded from its events one by one."""

from pydantic import BaseModel, ConfigDict

from webapp.contract.events import Evaluated, Event, PhaseMoved, Started, Stepped


class LiveFigures(BaseModel):
    """What is known of a job right now. Kept as JSON in `Job.live`."""

    model_config = ConfigDict(frozen=True)

    num_events: int = 0
    """Of the attempt's events, how many are in these figures and in the history."""
    phase: str = ""
    sentence: str = ""
    done: float = 0
    total: float = 0
    unit: str = ""
    seconds_left: float | None = None
    step: int = 0
    total_steps: int = 0
    epoch: float = 0
    loss: float | None = None
    held_out_loss: float | None = None
    learning_rate: float | None = None
    tokens_per_second: float = 0
    peak_memory_bytes: int = 0
    trainable_params: int = 0
    total_params: int = 0
    device: str = ""
    threads: int = 0
    flops_a_second: float = 0.0
    precision: str = ""

    @property
    def percent(self) -> float | None:
        """Of the present phase, 0 to 100; None where its length is unknown."""
        return min(100.0, 100 * self.done / self.total) if self.total else None

    def after(self, event: Event) -> "LiveFigures":
        """The figures once this event has happened."""
        return self._changed_by(event).model_copy(update={"num_events": self.num_events + 1})

    def _changed_by(self, event: Event) -> "LiveFigures":
        match event:
            case PhaseMoved():
                return self.model_copy(update=event.model_dump(exclude={"kind", "at"}))
            case Started():
                return self.model_copy(
                    update=event.model_dump(
                        include={
                            "trainable_params",
                            "total_params",
                            "total_steps",
                            "device",
                            "threads",
                            "flops_a_second",
                            "precision",
                        }
                    )
                )
            case Stepped():
                figures = event.model_dump(exclude={"kind", "at", "tokens"})
                sentence = f"Training: step {event.step} of {event.total_steps}."
                return self.model_copy(
                    update={
                        **figures,
                        "phase": "training",
                        "sentence": sentence,
                        "done": event.step,
                        "total": event.total_steps,
                        "unit": "steps",
                    }
                )
            case Evaluated():
                return self.model_copy(update={"held_out_loss": event.loss})
        return self
