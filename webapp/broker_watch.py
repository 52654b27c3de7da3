"""Whether the broker answers, for the line that every page shows while it is away. No page waits to learn it."""

import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest

from webapp.celery import broker_answers

CHECK_SECONDS = 10.0


class Watch:
    """Knows what was found a moment ago; who looks later than `CHECK_SECONDS` after that has it asked anew, beside."""

    def __init__(self, answers: Callable[[], bool]) -> None:
        self._answers = answers
        self._is_away = False
        self._asked_at = float("-inf")
        self._asking = threading.Lock()

    def is_away(self) -> bool:
        if time.monotonic() - self._asked_at > CHECK_SECONDS and self._asking.acquire(blocking=False):
            threading.Thread(target=self._ask, name="broker-watch", daemon=True).start()
        return self._is_away

    def _ask(self) -> None:
        try:
            self._is_away = not self._answers()
            self._asked_at = time.monotonic()
        finally:
            self._asking.release()


_watch = Watch(broker_answers)


def broker(_request: HttpRequest) -> dict[str, object]:
    """Context of every template."""
    if not settings.BROKER_URL:
        return {}
    return {"broker_is_away": _watch.is_away(), "poll_seconds": f"{settings.TIMING.poll:g}"}
