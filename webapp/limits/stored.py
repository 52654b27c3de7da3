"""How many bytes of the data folder are one person's, and whether there is room for more.

Each app that stores something counts its own part, since this one knows none of them.
"""

from collections.abc import Callable

from webapp.accounts.models import User
from webapp.limits.limits import LimitReached, Limits, limits_of, person_lock
from webapp.shown import megabytes

Counter = Callable[[int], int]
"""A person's id -> bytes."""

_counters: list[Counter] = []
RETRY_SECONDS = 600


def register_counter(counter: Counter) -> None:
    """Called once for each app, when Django starts."""
    _counters.append(counter)


def stored_bytes(user_id: int) -> int:
    return sum(counter(user_id) for counter in _counters)


def check_room(user: User, num_bytes: int, limits: Limits | None = None) -> None:
    """Raises LimitReached if so many more bytes would exceed the person's limit. `limits`: where they are known."""
    limit = (limits or limits_of(user.id)).stored_bytes
    if limit and (used := stored_bytes(user.id)) + num_bytes > limit:
        raise LimitReached(
            "stored_bytes",
            f"{user} uses {megabytes(used)} of {megabytes(limit)}, and {megabytes(num_bytes)} more do not fit. "
            "Delete datasets, jobs or adapters that are no longer needed, or ask an admin for more.",
            retry_seconds=RETRY_SECONDS,
        )


def take_room(user: User, num_bytes: int) -> None:
    """As `check_room`, but nobody else takes the same room: call it in the transaction that records what is stored.

    Raises LimitReached.
    """
    limits = limits_of(user.id)
    if limits.stored_bytes:
        person_lock(user.id)
        check_room(user, num_bytes, limits)
