"""How much one person may use: values for everyone, and for single people others."""

from django.conf import settings
from django.db import models

from webapp.accounts.models import User


class LimitValues(models.Model):
    """Empty: as the next wider rule says (the person's, the installation's, the environment's). 0: no limit."""

    running_jobs = models.PositiveIntegerField(
        null=True, blank=True, help_text="Jobs of one person that run at once. Further ones wait in the queue."
    )
    queued_jobs = models.PositiveIntegerField(
        null=True, blank=True, help_text="Jobs of one person that wait or are paused. Further ones are refused."
    )
    stored_mb = models.PositiveIntegerField(
        null=True,
        blank=True,
        verbose_name="stored MB",
        help_text="Uploads, datasets, jobs with their checkpoints, and adapters together. More is refused.",
    )
    uploads_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="So many files at once, then again as many in each minute."
    )

    class Meta:
        abstract = True


class InstallationLimits(LimitValues):
    """One row at most, with the id 1."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)

    class Meta:
        verbose_name_plural = "installation limits"

    def __str__(self) -> str:
        return "Limits of everyone"


class PersonLimits(LimitValues):
    user: models.OneToOneField[User, User] = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="limits"
    )

    class Meta:
        verbose_name_plural = "person limits"

    def __str__(self) -> str:
        return f"Limits of {self.user}"
