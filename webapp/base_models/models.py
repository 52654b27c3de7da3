"""Base models a job can start from: the starters, folders an admin registered, and models fetched from the Hub."""

from pathlib import Path

from django.db import models

from webapp import storage
from webapp.accounts.models import User
from webapp.contract.base_models import STARTERS, StarterModel
from webapp.contract.model_shape import TASKS_OF_FAMILY, ModelShape
from webapp.contract.tasks import Task


class BaseModelQuerySet(models.QuerySet["BaseModel"]):
    def visible_to(self, user: User) -> "BaseModelQuerySet":
        """What a token opened is for its owner and admins: the others may not have the right to it."""
        return self if user.is_staff else self.filter(models.Q(is_private=False) | models.Q(fetched_by=user))


class BaseModel(models.Model):
    """One base model. Starters are rows too (made by a migration), so that jobs point to all alike."""

    id = models.CharField(primary_key=True, max_length=100)
    title = models.CharField(max_length=100)
    folder = models.CharField(max_length=1000, blank=True)
    """Where a registered model lies; empty for those that live in the data folder."""
    hub_id = models.CharField(max_length=200, blank=True)
    commit = models.CharField(max_length=40, blank=True)
    """Of what was fetched from the Hub."""
    licence = models.CharField(max_length=100, blank=True)
    fetched_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL)
    is_private = models.BooleanField(default=False)
    """Private or gated on the Hub."""
    shape_json = models.JSONField()
    has_chat_template = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = BaseModelQuerySet.as_manager()

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
    def sentence(self) -> str:
        """What it is, for whoever chooses."""
        if self.starter:
            return self.starter.sentence
        return f"Fetched from the Hub: {self.hub_id}." if self.hub_id else "A model folder that an admin registered."

    @property
    def reference(self) -> str:
        """What a user of an adapter loads as its base: a Hub id, or the folder's name."""
        return self.starter.hub_id if self.starter else self.hub_id or self.path.name

    @property
    def revision(self) -> str:
        """Which of the models of this name it is; empty for a folder, which nobody numbers."""
        if self.starter:
            return f"{self.starter.package} {self.starter.version}"
        return f"commit {self.commit[:12]}" if self.commit else ""

    @property
    def licence_words(self) -> str:
        return self.starter.licence if self.starter else self.licence or "see the base model"

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
