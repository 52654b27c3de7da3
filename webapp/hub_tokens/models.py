"""A person's token for the Hugging Face Hub, sealed: a copy of the database opens none."""

from django.conf import settings
from django.db import models


class HubToken(models.Model):
    """At most one a person. What can be shown of it is when it was set and used."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE)
    sealed = models.TextField()
    set_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"Hub token of {self.user}"
