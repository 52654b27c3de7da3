"""What a person wishes of how a job is queued and run, beside what is trained."""

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.jobs.models import Priority
from webapp.jobs.placing import Needs


@dataclass(frozen=True)
class Wishes:
    """How a job shall be queued and run; nothing here changes what is trained."""

    priority: Priority = Priority.NORMAL
    needs_labels: Sequence[str] = ()
    needs_memory_bytes: int = 0
    time_limit_seconds: int = 0
    num_processes: int = 1

    @property
    def needs(self) -> Needs:
        return Needs(self.needs_labels, self.needs_memory_bytes, self.num_processes)


NO_WISHES = Wishes()
