"""What a person uses of each limit, as pages show it."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from webapp.jobs.limits import num_running_of, num_waiting_of
from webapp.limits.limits import Limits, limits_of, limits_of_many
from webapp.limits.stored import stored_bytes
from webapp.limits.uploads import uploads_used
from webapp.shown import megabytes

NEAR = 0.75
"""From this share on a bar stands beside the button that would use more."""


class Bar(NamedTuple):
    """`limit` is 0 where there is none; then there is nothing to fill."""

    kind: str
    label: str
    used: int
    limit: int

    @property
    def words(self) -> str:
        if not self.limit:
            return f"{self._shown(self.used)}, no limit"
        return f"{self._shown(self.used)} of {self._shown(self.limit)}"

    @property
    def is_near(self) -> bool:
        return self.limit > 0 and self.used >= NEAR * self.limit

    @property
    def is_full(self) -> bool:
        return 0 < self.limit <= self.used

    def _shown(self, number: int) -> str:
        return megabytes(number) if self.kind == "stored_bytes" and number else f"{number:,}"


_MEASURES: dict[str, tuple[str, Callable[[int, Limits], int]]] = {
    "running_jobs": ("Running jobs", lambda user_id, _limits: num_running_of(user_id)),
    "queued_jobs": ("Waiting and paused jobs", lambda user_id, _limits: num_waiting_of(user_id)),
    "stored_bytes": ("Stored", lambda user_id, _limits: stored_bytes(user_id)),
    "uploads_per_minute": (
        "Uploads within a minute", lambda user_id, limits: uploads_used(user_id, limits.uploads_per_minute)
    ),
}  # fmt: skip
"""Name of a limit -> its label, and how much of it a person uses."""


def bars_of(user_id: int, kinds: Collection[str] = tuple(_MEASURES)) -> list[Bar]:
    return _bars(user_id, limits_of(user_id), kinds)


def bars_of_many(user_ids: Collection[int]) -> dict[int, list[Bar]]:
    return {user_id: _bars(user_id, limits, _MEASURES) for user_id, limits in limits_of_many(user_ids).items()}


def _bars(user_id: int, limits: Limits, kinds: Collection[str]) -> list[Bar]:
    return [
        Bar(kind, label, used(user_id, limits), getattr(limits, kind))
        for kind, (label, used) in _MEASURES.items()
        if kind in kinds
    ]
