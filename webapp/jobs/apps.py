from django.apps import AppConfig
from django.db.models.signals import post_migrate


class JobsConfig(AppConfig):
    name = "webapp.jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        from webapp.jobs import limits, terminal_guard
        from webapp.limits.stored import register_counter

        post_migrate.connect(terminal_guard.install, sender=self)
        register_counter(limits.bytes_of_jobs)
