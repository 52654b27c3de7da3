"""How long things may take. Read from the environment once; combinations that could lose a job are refused."""

import os
from dataclasses import dataclass, fields
from datetime import timedelta

from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True)
class Timing:
    """All in seconds. `GRAFTWORK_LEASE_SECONDS` and so on set them."""

    heartbeat: float = 10.0
    """A worker shows at least this often that it lives, for itself and for each job it runs."""
    lease: float = 60.0
    """A job whose worker has not renewed for this long goes to another."""
    sweep: float = 5.0
    """How often the reconciler looks."""
    poll: float = 15.0
    """How often a worker looks for work by itself, in case a wake-up was lost."""
    checkpoint: float = 30.0
    """How often a training child writes a checkpoint."""
    backoff: float = 5.0
    """Before a job is tried again after a crash; each further time waits twice as long."""
    stop_grace: float = 30.0
    """A child that was asked to stop is killed after this long."""
    stall: float = 1800.0
    """A child without a sign of progress for this long is taken for hung."""
    start_deadline: float = 1800.0
    """From a worker taking the job to training; fetching a base model is in it."""
    finalize_deadline: float = 900.0
    orphan_grace: float = 300.0
    """A worker that cannot reach the database trains on for this long, then checkpoints and stops."""

    @property
    def lease_span(self) -> timedelta:
        return timedelta(seconds=self.lease)

    @property
    def turn_span(self) -> timedelta:
        """A reconciler that has not swept for this long loses its turn to another."""
        return timedelta(seconds=3 * self.sweep)

    @property
    def longest_gap(self) -> timedelta:
        """Between two sweeps, when a reconciler died: its turn, a sweep, and some more. A longer gap is an outage."""
        return 2 * self.turn_span


def timing_from_environment() -> Timing:
    """Raises ImproperlyConfigured, naming the variable and the rule."""
    timing = Timing(**{field.name: _seconds(field.name, float(str(field.default))) for field in fields(Timing)})
    if timing.heartbeat * 3 > timing.lease:
        raise ImproperlyConfigured(
            f"GRAFTWORK_HEARTBEAT_SECONDS={timing.heartbeat:g} is too long for GRAFTWORK_LEASE_SECONDS="
            f"{timing.lease:g}: three heartbeats must fit into a lease, or live workers lose their jobs."
        )
    if timing.lease + timing.sweep > 75:
        raise ImproperlyConfigured(
            f"GRAFTWORK_LEASE_SECONDS={timing.lease:g} and GRAFTWORK_SWEEP_SECONDS={timing.sweep:g} add up to more "
            "than the 75 seconds within which a dead worker must be noticed."
        )
    if timing.longest_gap + timedelta(seconds=timing.heartbeat) > timing.lease_span:
        raise ImproperlyConfigured(
            f"GRAFTWORK_SWEEP_SECONDS={timing.sweep:g} is too long for GRAFTWORK_LEASE_SECONDS={timing.lease:g}: six "
            "sweeps and a heartbeat must fit into a lease, or an outage of the database takes jobs from live workers."
        )
    return timing


def _seconds(name: str, default: float) -> float:
    variable = f"GRAFTWORK_{name.upper()}_SECONDS"
    text = os.environ.get(variable, str(default))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise ImproperlyConfigured(f"{variable}={text!r}: give a number of seconds above 0.")
    return seconds
