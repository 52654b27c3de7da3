from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "webapp.audit"
    verbose_name = "Audit log"

    def ready(self) -> None:
        from webapp.audit import append_only

        post_migrate.connect(append_only.install, sender=self)
