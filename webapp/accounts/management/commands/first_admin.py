"""`manage.py first_admin`: the one-time link that makes the first admin, where `manage.py up` is not used."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from webapp.accounts.models import User
from webapp.accounts.services import sign_in_link_create


class Command(BaseCommand):
    help = "Print a one-time link that makes the first admin."

    def handle(self, *_: Any, **__: Any) -> None:
        if User.objects.filter(is_staff=True).exists():
            raise CommandError("There is an admin already. An admin can make more people in the Admin pages.")
        self.stdout.write(reverse("welcome", args=[sign_in_link_create(None)]))
