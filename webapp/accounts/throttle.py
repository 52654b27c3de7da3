"""Slows down whoever guesses passwords and tokens. The counts lie in the database, so all web processes share them.

A try is taken from its allowance before the secret is compared, under a row lock, and given back if the secret was
right. Counted afterwards, as django-axes does, a burst of tries would all pass before the first one is counted.

An allowance is one timestamp (the generic cell rate algorithm): each try moves it `interval` into the future, and a
try waits while it lies more than `burst` tries ahead.
"""

import hashlib
import logging
import math
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import NamedTuple

from django.db import transaction
from django.db.models import F
from django.http import HttpRequest

from webapp.accounts.models import Allowance
from webapp.client_address import client_address
from webapp.clock import database_now

log = logging.getLogger(__name__)


class Rate(NamedTuple):
    burst: int
    """Wrong tries in a row."""
    interval: timedelta
    """After them, one try each."""


PER_ACCOUNT = Rate(5, timedelta(minutes=1))
"""Of one account from one address. Never of an account alone: a stranger could lock its owner out."""
PER_ADDRESS = Rate(30, timedelta(seconds=30))
"""Of all accounts from one address, which an office may share."""


class TooManyAttempts(Exception):
    """The answer is 429, see `webapp.too_many_requests`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many attempts. Try again in {seconds} s.")
        self.seconds = seconds


class Attempt(NamedTuple):
    """One try that was taken from its allowances."""

    allowances: dict[str, Rate]
    description: str

    def succeeded(self) -> None:
        """The secret was right: the try costs nothing."""
        for key, rate in self.allowances.items():
            Allowance.objects.filter(key=key).update(used_until=F("used_until") - rate.interval)

    def failed(self) -> None:
        log.warning("Failed attempt: %s", self.description)


def attempt_begin(request: HttpRequest, purpose: str, account: str | None = None) -> Attempt:
    """Call before a secret is compared. Raises TooManyAttempts."""
    address = client_address(request)
    # %r escapes what could forge a line of the log or recolour a terminal.
    description = f"{purpose} from {address or 'a local socket'}" + ("" if account is None else f" as {account!r}")
    allowances = {allowance_key(purpose, _network(address)): PER_ADDRESS}
    if account is not None:
        allowances[allowance_key(purpose, _network(address), account)] = PER_ACCOUNT
    try:
        allowances_take(allowances)
    except TooManyAttempts as error:
        log.warning("Refused attempt: %s; the next one in %d s", description, error.seconds)
        raise
    return Attempt(allowances, description)


def allowances_forget(now: datetime) -> None:
    """Remove those that are whole again; the margin keeps rows that a request is just about to lock."""
    whole = Allowance.objects.filter(used_until__lt=now - timedelta(hours=1))
    if whole.exists():
        whole.delete()


def allowance_used(key: str, rate: Rate) -> int:
    """How many tries are taken and not yet given back by time."""
    used_until = Allowance.objects.filter(key=key).values_list("used_until", flat=True).first()
    return max(0, math.ceil((used_until - database_now()) / rate.interval)) if used_until else 0


@transaction.atomic
def allowances_take(allowances: dict[str, Rate]) -> None:
    """One try from each, or from none of them. Raises TooManyAttempts."""
    now = database_now()
    Allowance.objects.bulk_create([Allowance(key=key, used_until=now) for key in allowances], ignore_conflicts=True)
    # In one order, so that two requests never wait for each other.
    rows = list(Allowance.objects.select_for_update().filter(key__in=allowances).order_by("key"))
    now = database_now()
    for row in rows:
        rate = allowances[row.key]
        row.used_until = max(row.used_until, now) + rate.interval
    wait = max(row.used_until - now - rate.burst * rate.interval for row in rows for rate in [allowances[row.key]])
    if wait > timedelta(0):
        raise TooManyAttempts(math.ceil(wait.total_seconds()))
    Allowance.objects.bulk_update(rows, ["used_until"])


def _network(address: str) -> str:
    """Whoever has one IPv6 address has the 2^64 of its network."""
    return str(ip_network(f"{address}/64", strict=False)) if ":" in address else address


def allowance_key(*parts: str) -> str:
    """Hashed: names people typed, passwords in the wrong field among them, are kept nowhere."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
