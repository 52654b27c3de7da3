"""The one exception for what the person or the world got wrong; anything else that flies is a bug of ours."""

from typing import Literal

Code = Literal["data", "loss_not_finite", "out_of_memory", "base_model", "storage_full"]


class TrainingError(Exception):
    """Ends the job with a Failed event. `message`: what happened, where, what to do. `evidence`: what shows it."""

    def __init__(self, code: Code, message: str, evidence: str = "") -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message
        self.evidence = evidence


class Stop(Exception):
    """A stop was asked for and heeded; `step` is the last one done."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped after step {step}")
        self.step = step
