"""`manage.py rotate_hub_token_key`: seals all Hub tokens with a new key, and forgets the old one."""

from typing import Any

from django.core.management.base import BaseCommand

from webapp.hub_tokens.services import hub_tokens_seal_anew


class Command(BaseCommand):
    help = "Seal all Hub tokens with a new key."

    def handle(self, *_: Any, **__: Any) -> None:
        sealed, lost = hub_tokens_seal_anew()
        self.stdout.write(f"{sealed} Hub tokens are sealed with a new key.")
        if lost:
            self.stdout.write(f"{lost} could not be opened; their owners must set them again.")
