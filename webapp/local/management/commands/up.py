"""`manage.py up`: start everything and stay, until Ctrl-C."""

import signal
import time
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from webapp.accounts.models import User
from webapp.accounts.services import sign_in_link_create
from webapp.local.lock import AlreadyRunning
from webapp.local.stack import CannotStart, Stack


class Command(BaseCommand):
    help = "Start Graftwork on this machine: web, broker and one worker. Ctrl-C stops all of it."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--host", default="127.0.0.1")

    def handle(self, *_: Any, host: str, port: int, **__: Any) -> None:
        signal.signal(signal.SIGTERM, _like_ctrl_c)
        try:
            with Stack(settings.DATA_DIR, host=host, port=port) as stack:
                self._greet(stack)
                self._stay(stack)
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")
        except AlreadyRunning as error:
            raise CommandError(f"{error} Open it in the browser, or stop it there with Ctrl-C.") from error
        except CannotStart as error:
            raise CommandError(str(error)) from error

    def _greet(self, stack: Stack) -> None:
        self.stdout.write(f"Graftwork is running at {stack.url}")
        if not User.objects.filter(is_staff=True).exists():
            path = reverse("welcome", args=[sign_in_link_create(None)])
            self.stdout.write(f"Make the first admin with this one-time link: {stack.url}{path}")
        self.stdout.write(f"Data and logs: {stack.data_dir}. Ctrl-C stops everything.")
        self.stdout.flush()

    def _stay(self, stack: Stack) -> None:
        while True:
            time.sleep(0.5)
            for name in stack.mend():
                self.stderr.write(f"The {name} ended by itself; {stack.log_path(name)} says why. It is started again.")


def _like_ctrl_c(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
