"""`manage.py worker_check`: whether a worker runs here and shows that it lives; for a container's health check."""

import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.clock import database_now
from webapp.workers.models import Worker


class Command(BaseCommand):
    help = "Fail unless a worker on this host has renewed its heartbeat lately."
    requires_system_checks = []

    def handle(self, *_: Any, **__: Any) -> None:
        host = socket.gethostname()
        worker = Worker.objects.online(database_now()).filter(host=host).first()
        if worker is None:
            raise CommandError(f"No worker on {host} shows that it lives.")
        self.stdout.write(f"{worker.name} lives.")
