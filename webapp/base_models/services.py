"""What base models can undergo: the starters are kept in step with the contract, folders and fetched models come and
go."""

from collections.abc import Iterator
from itertools import count

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils.text import slugify

from webapp import storage
from webapp.accounts.models import User
from webapp.audit.recording import about, settle
from webapp.base_models.models import BaseModel
from webapp.contract.base_models import STARTERS
from webapp.contract.hub import FetchedModel, HubLook
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
                model = BaseModel.objects.create(
                    id=model_id,
                    title=title,
                    folder=folder,
                    shape_json=report.shape.model_dump(),
                    has_chat_template=report.has_chat_template,
                )
                settle(model)
                return model
        except IntegrityError:
            continue
    raise AssertionError("the numbers do not end")


def hub_model_id(look: HubLook, user: User) -> str:
    """The id that a commit of the Hub gets here. What only this person's token opens is theirs alone, so it has an id,
    and a folder, of their own. Its dots keep it apart from ids made of titles."""
    name = look.hub_id.replace("/", ".").lower()[:70]
    theirs = f".u{user.pk}" if look.is_for_its_owner_alone else ""
    return f"hub.{name}.{look.commit[:12]}{theirs}"


def base_model_fetched(fetched: FetchedModel, user: User) -> BaseModel:
    """Offer what was fetched; told twice, it is offered once."""
    look = fetched.look
    model, _is_new = BaseModel.objects.get_or_create(
        id=hub_model_id(look, user),
        defaults={
            "title": look.hub_id.rpartition("/")[2],
            "hub_id": look.hub_id,
            "commit": look.commit,
            "licence": look.licence,
            "fetched_by": user,
            "is_private": look.is_for_its_owner_alone,
            "shape_json": fetched.shape.model_dump(),
            "has_chat_template": fetched.has_chat_template,
        },
    )
    return model


def base_model_remove(model: BaseModel) -> None:
    """Forget a model. The files of a registered folder stay where they are, those of a fetched one go. Raises InUse."""
    assert model.folder or model.hub_id, "starters stay"
    path = model.path
    try:
        with transaction.atomic():
            about(model)
            model.delete()
            settle()
    except ProtectedError as error:
        raise InUse from error
    if not model.folder:
        storage.folder_delete(path)


def _ids_from(title: str) -> Iterator[str]:
    slug = slugify(title)[:90].strip("-_") or "model"
    yield slug
    for number in count(2):
        yield f"{slug}-{number}"
