"""`manage.py rotate_sealing_key`: seals all secrets in the database with a new key, and forgets the old one."""

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from webapp.audit.recording import record
from webapp.hub_tokens.models import HubToken
from webapp.sealing import key_add, keys_forget_old, rows_reseal
from webapp.webhooks.models import Webhook


class Command(BaseCommand):
    help = "Seal all Hub tokens and webhook secrets with a new key."

    @transaction.atomic
    def handle(self, *_: Any, **__: Any) -> None:
        key_add()
        tokens, lost_tokens = rows_reseal(HubToken.objects.all(), "sealed")
        secrets, lost_secrets = rows_reseal(Webhook.objects.all(), "sealed_secret")
        transaction.on_commit(keys_forget_old)
        detail = f"{tokens} Hub tokens and {secrets} webhook secrets sealed again, {lost_tokens + lost_secrets} lost"
        record("secrets.reseal-all", detail=detail)
        self.stdout.write(f"{tokens} Hub tokens and {secrets} webhook secrets are sealed with a new key.")
        if lost_tokens:
            self.stdout.write(f"{lost_tokens} Hub tokens could not be opened; their owners must set them again.")
        if lost_secrets:
            self.stdout.write(f"{lost_secrets} webhook secrets could not be opened; add these webhooks again.")
