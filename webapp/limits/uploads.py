"""How many files a person may upload a minute."""

from datetime import timedelta

from webapp.accounts.models import User
from webapp.accounts.throttle import Rate, TooManyAttempts, allowance_key, allowance_used, allowances_take
from webapp.limits.limits import LimitReached, limits_of
from webapp.limits.stored import check_room


def uploads_used(user_id: int, per_minute: int) -> int:
    """Of those that may come at once; a file is given back after its share of a minute."""
    return allowance_used(_key(user_id), _rate(per_minute)) if per_minute else 0


def check_upload(user: User, num_bytes: int) -> None:
    """Raises LimitReached if an upload of so many bytes would be refused now."""
    check_room(user, num_bytes)
    per_minute = limits_of(user.id).uploads_per_minute
    if per_minute and uploads_used(user.id, per_minute) >= per_minute:
        raise _reached(per_minute, 60 // per_minute or 1)


def take_upload(user: User) -> None:
    """Count one upload. Raises LimitReached."""
    per_minute = limits_of(user.id).uploads_per_minute
    if per_minute:
        try:
            allowances_take({_key(user.id): _rate(per_minute)})
        except TooManyAttempts as error:
            raise _reached(per_minute, error.seconds) from error


def _rate(per_minute: int) -> Rate:
    return Rate(per_minute, timedelta(minutes=1) / per_minute)


def _key(user_id: int) -> str:
    return allowance_key("upload", str(user_id))


def _reached(per_minute: int, seconds: int) -> LimitReached:
    return LimitReached(
        "uploads_per_minute",
        f"You uploaded {per_minute} files within a minute, the most that are taken from one person. Try again in "
        f"{seconds} s.",
        retry_seconds=seconds,
    )
