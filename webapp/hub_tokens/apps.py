from django.apps import AppConfig


class HubTokensConfig(AppConfig):
    name = "webapp.hub_tokens"
    verbose_name = "Hub tokens"
