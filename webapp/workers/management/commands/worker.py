"""`manage.py worker`: run a worker here, for this installation or, with --join, for one that runs elsewhere."""

import os
import socket
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webapp.contract.version import graftwork_version
from webapp.workers.join_client import join, url_check
from webapp.workers.joining import is_readable_by_others
from webapp.workers.rules import Refused, name_read

TOKEN_VARIABLE = "GRAFTWORK_JOIN_TOKEN"
CELERY = (
    "-m", "celery", "-A", "worker.app", "worker", "-P", "threads", "-c", "1", "-Q", "train",
    "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO",
)  # fmt: skip


class Command(BaseCommand):
    help = "Run a worker on this machine. With --join it asks a running app where its database is."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--join", metavar="URL", help=f"address of the app; the token comes in {TOKEN_VARIABLE}")
        parser.add_argument("--token-file", type=Path, help="a file with the join token in it")
        parser.add_argument("--name", help="what to call the worker; without it, the host's name")

    def handle(self, *_: Any, join: str | None, token_file: Path | None, name: str | None, **__: Any) -> None:
        try:
            if join:
                self._join(join, _token(token_file))
            elif name:
                os.environ["GRAFTWORK_WORKER_NAME"] = name_read(name)
        except Refused as error:
            raise CommandError(str(error)) from error
        self.stdout.flush()
        os.chdir(settings.BASE_DIR)
        os.execv(sys.executable, [sys.executable, *CELERY])

    def _join(self, url: str, token: str) -> None:
        """Ask, check, and put the answer where the worker's settings read it."""
        url_check(url)
        if is_readable_by_others(url):
            self.stderr.write("Warning: without https anyone on the way can read the token and the database's address.")
        answer = join(url, token, settings.DATA_DIR, socket.gethostname())
        if answer.version != graftwork_version():
            self.stderr.write(
                f"Warning: this is Graftwork {graftwork_version()}, the app is {answer.version}. Jobs that this "
                "version cannot do will wait for another worker; install the same version soon."
            )
        if not answer.broker_url:
            self.stderr.write(
                f"Note: no broker is reachable from here; new jobs are noticed within {settings.TIMING.poll:g} s."
            )
        os.environ["GRAFTWORK_WORKER_ID"] = answer.id
        os.environ["GRAFTWORK_DATABASE_URL"] = answer.database_url
        os.environ["GRAFTWORK_BROKER_URL"] = answer.broker_url
        os.environ.pop(TOKEN_VARIABLE, None)
        self.stdout.write(f"Joined {url} as the worker “{answer.name}”.")


def _token(file: Path | None) -> str:
    """Never from the command line, where every user of the machine could read it. Raises Refused."""
    try:
        token = file.read_text().strip() if file else os.environ.get(TOKEN_VARIABLE, "").strip()
    except (OSError, UnicodeError) as error:
        raise Refused(f"The token file {file} cannot be read ({error}).") from error
    if not token:
        raise Refused(
            f"The join token is missing. Give it as {TOKEN_VARIABLE}=… before the command or with --token-file; the "
            "page Workers of the app makes one."
        )
    if not token.isascii() or any(letter.isspace() for letter in token):
        raise Refused("The join token holds characters no token has. Copy it anew, as one line.")
    return token
