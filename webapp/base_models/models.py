"""Base models a job can start from: the starters, and folders an admin registered."""

from pathlib import Path

from django.db import models

from webapp import storage
from webapp.contract.base_models import STARTERS, StarterModel
from webapp.contract.model_shape import TASKS_OF_FAMILY, ModelShape
from webapp.contract.tasks import Task


class BaseModel(models.Model):
    """One base model. Starters are rows too (made by a migration), so that jobs point to all alike."""

    id = models.CharField(primary_key=True, max_length=100)
    title = models.CharField(max_length=100)
    folder = models.CharField(max_length=1000, blank=True)
    """Where a registered model lies; empty for starters, which live in the data folder."""
    shape_json = models.JSONField()
    has_chat_template = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.title

    @property
    def shape(self) -> ModelShape:
        return ModelShape.model_validate(self.shape_json)

    @property
    def starter(self) -> StarterModel | None:
        return STARTERS.get(self.id)

    @property
    def path(self) -> Path:
        return Path(self.folder) if self.folder else storage.base_model_dir(self.id)

    @property
    def is_ready(self) -> bool:
        """False until a starter has been fetched, which the first job does."""
        return (self.path / "config.json").exists()

    @property
    def tasks(self) -> tuple[Task, ...]:
        return TASKS_OF_FAMILY[self.shape.family]
