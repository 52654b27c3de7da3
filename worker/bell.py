"""A bell between threads: rung when there may be work, heard by all who wait, and by none twice."""

import threading


class Bell:
    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.num_rings = 0
        """Note it before looking for work: what was rung since then ends the next wait at once."""

    def ring(self) -> None:
        with self._condition:
            self.num_rings += 1
            self._condition.notify_all()

    def wait(self, rings_before: int, seconds: float) -> None:
        """Until it is rung once more than `rings_before`, or the time is over."""
        with self._condition:
            self._condition.wait_for(lambda: self.num_rings != rings_before, seconds)
