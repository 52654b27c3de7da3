from django.apps import AppConfig


class AdaptersConfig(AppConfig):
    name = "webapp.adapters"
    verbose_name = "Adapters"

    def ready(self) -> None:
        from webapp.adapters.stored import bytes_of_adapters
        from webapp.limits.stored import register_counter

        register_counter(bytes_of_adapters)
