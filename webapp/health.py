"""`/health/live` and `/health/ready`, for whatever starts and watches the web process.

Answered before sessions and the check of the host's name, as probes have no account and call by an address. They say
what is checked and whether it is well, nothing else: strangers read them too.
"""

import logging
import tempfile
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.deprecation import MiddlewareMixin

from webapp.celery import broker_answers

KEPT_SECONDS = 2.0
"""A probe may be asked by anybody as often as they like; it looks again only after this."""
OPTIONAL = ("broker",)
"""Without these jobs are still accepted, found and run, only later."""

log = logging.getLogger(__name__)


class HealthMiddleware(MiddlewareMixin):
    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if request.path_info == "/health/live":
            return _answer({"status": "ok"}, 200)
        if request.path_info == "/health/ready":
            checks = _readiness.checks()
            is_ready = all(is_well for name, is_well in checks.items() if name not in OPTIONAL)
            words = {name: _word(is_well) for name, is_well in checks.items()}
            return _answer({"status": _word(all(checks.values())), "checks": words}, 200 if is_ready else 503)
        return None


class Readiness:
    """What was found a moment ago, by one request for all that ask at the same time."""

    def __init__(self, look: dict[str, Callable[[], bool]]) -> None:
        self._look = look
        self._found: dict[str, bool] = {}
        self._looked_at = float("-inf")
        self._looking = threading.Lock()

    def checks(self) -> dict[str, bool]:
        with self._looking:
            if time.monotonic() - self._looked_at > KEPT_SECONDS:
                found = {name: look() for name, look in self._look.items()}
                if found != self._found:
                    # News once; a probe comes every few seconds.
                    log.info("Health: %s", ", ".join(f"{name} {_word(is_well)}" for name, is_well in found.items()))
                self._found, self._looked_at = found, time.monotonic()
            return self._found


def database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return bool(cursor.fetchone())
    except Error:
        return False


def migrations_are_applied() -> bool:
    try:
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error:
        return False


def data_folder_is_writable() -> bool:
    try:
        with tempfile.TemporaryFile(dir=settings.DATA_DIR) as file:
            file.write(b"?")
        return True
    except OSError:
        return False


def _word(is_well: bool) -> str:
    return "ok" if is_well else "degraded"


def _answer(body: dict[str, object], status: int) -> HttpResponse:
    response = JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
    # Django would log each 503 as an error; `Readiness` logs the change.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


_readiness = Readiness(
    {
        "database": database_answers,
        "migrations": migrations_are_applied,
        "broker": broker_answers,
        "data_folder": data_folder_is_writable,
    }
)
