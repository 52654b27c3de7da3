from typing import Any

from django.apps import AppConfig
from django.apps.registry import Apps
from django.db.models.signals import post_migrate


class BaseModelsConfig(AppConfig):
    name = "webapp.base_models"
    verbose_name = "Base models"

    def ready(self) -> None:
        post_migrate.connect(refresh_starters, sender=self)


def refresh_starters(apps: Apps | None = None, **_: Any) -> None:
    """Also after an upgrade that changed a starter. Migrating back to nothing leaves no table to write to.

    `manage.py flush` sends the signal without `apps`: all tables are there then."""
    from webapp.base_models.services import starters_refresh

    if apps is None or "basemodel" in apps.all_models["base_models"]:
        starters_refresh()
