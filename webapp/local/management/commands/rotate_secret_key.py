"""`manage.py rotate_secret_key`: a new key for sessions and forms; nobody is signed out."""

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from webapp.audit.recording import record
from webapp.secret_key import FALLBACKS_VARIABLE, VARIABLE, key_add, keys_forget_old

RESTART = "Restart Graftwork, every web process and worker, so that it counts."


class Command(BaseCommand):
    help = "Sign sessions and forms with a new key. What the older keys signed stays valid until --forget-old."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--forget-old", action="store_true", help="no new key; the older ones are worth nothing")

    def handle(self, *_: Any, forget_old: bool, **__: Any) -> None:
        if VARIABLE in os.environ:
            raise CommandError(
                f"The key comes from {VARIABLE}. Put a new one there and the present one into {FALLBACKS_VARIABLE} "
                "(commas between several), then restart; leave the old one out after two weeks."
            )
        file = settings.DATA_DIR / "secret_key"
        if forget_old:
            gone = keys_forget_old(file)
            record("secret-key.forget-old", detail=f"{gone} keys")
            self.stdout.write(f"{gone} older keys are forgotten. {RESTART}")
        else:
            key_add(file)
            record("secret-key.rotate")
            self.stdout.write(f"There is a new key, and nobody is signed out. {RESTART}")
            self.stdout.write("After two weeks, the life of a session: manage.py rotate_secret_key --forget-old")
