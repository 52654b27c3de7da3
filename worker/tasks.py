"""What the broker's message does: it rings the bell. Which job there is, and whose it becomes, the database says."""

from collections.abc import Callable

from webapp.celery import app

BELL: list[Callable[[], None]] = []
"""What to ring; filled when the worker has started."""


@app.task(name="wake")
def wake() -> None:
    """There may be work."""
    for ring in BELL:
        ring()
