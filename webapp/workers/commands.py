"""The commands that start a worker, to be copied from the page, and what must be true for them to work."""

import shlex
from typing import NamedTuple

from django.conf import settings
from django.db import connection

from webapp.workers.joining import is_readable_by_others


class StartCommands(NamedTuple):
    shell: str
    compose: str
    is_sqlite: bool
    """Then only this machine's workers can join."""
    is_readable_by_others: bool
    """The token and the database's address would travel without https."""


def start_commands(url: str, token: str) -> StartCommands:
    """`url`: the app as the admin's browser reaches it."""
    home = shlex.quote(str(settings.DATA_DIR))
    join = f"python manage.py worker --join {shlex.quote(url)}"
    return StartCommands(
        shell=f"GRAFTWORK_HOME={home} GRAFTWORK_JOIN_TOKEN={token} {join}",
        compose=f"GRAFTWORK_JOIN_TOKEN={token} docker compose run -d --no-deps -e GRAFTWORK_JOIN_TOKEN worker {join}",
        is_sqlite=connection.vendor == "sqlite",
        is_readable_by_others=is_readable_by_others(url),
    )
