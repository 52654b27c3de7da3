from django.apps import AppConfig


class DatasetsConfig(AppConfig):
    name = "webapp.datasets"
    verbose_name = "Datasets"

    def ready(self) -> None:
        from webapp.datasets.stored import bytes_of_datasets
        from webapp.limits.stored import register_counter

        register_counter(bytes_of_datasets)
