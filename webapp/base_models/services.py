"""What base models can undergo: the starters are kept in step with the contract, folders come and go."""

from collections.abc import Iterator
from itertools import count

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils.text import slugify

from webapp.base_models.models import BaseModel
from webapp.contract.base_models import STARTERS
from webapp.contract.model_folder import FolderReport


class InUse(Exception):
    """Jobs were trained from this base model, and their pages need it."""


def starters_refresh() -> None:
    """Make the rows of the starters what the contract says."""
    for starter in STARTERS.values():
        BaseModel.objects.update_or_create(
            id=starter.id,
            defaults={
                "title": starter.title,
                "folder": "",
                "shape_json": starter.shape.model_dump(),
                "has_chat_template": starter.shape.family == "llama",
            },
        )


def base_model_register(*, title: str, folder: str, report: FolderReport) -> BaseModel:
    """Remember a checked folder under an id made from its title; a taken id gets a number behind it."""
    for model_id in _ids_from(title):
        try:
            with transaction.atomic():
                return BaseModel.objects.create(
                    id=model_id,
                    title=title,
                    folder=folder,
                    shape_json=report.shape.model_dump(),
                    has_chat_template=report.has_chat_template,
                )
        except IntegrityError:
            continue
    raise AssertionError("the numbers do not end")


def base_model_remove(model: BaseModel) -> None:
    """Forget a registered folder; its files stay where they are. Raises InUse."""
    assert model.folder, "starters stay"
    try:
        model.delete()
    except ProtectedError as error:
        raise InUse from error


def _ids_from(title: str) -> Iterator[str]:
    slug = slugify(title)[:90].strip("-_") or "model"
    yield slug
    for number in count(2):
        yield f"{slug}-{number}"
