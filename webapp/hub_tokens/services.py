"""What a person's Hub token can undergo."""

from django.db import transaction

from webapp.accounts.models import User
from webapp.audit.recording import record
from webapp.clock import database_now
from webapp.hub_tokens.models import HubToken
from webapp.hub_tokens.sealing import CannotOpen, key_add, keys_forget_old, seal, seal_anew, unseal


def hub_token_set(user: User, token: str) -> None:
    """In place of an older one."""
    fields = {"sealed": seal(token), "set_at": database_now(), "last_used_at": None}
    HubToken.objects.update_or_create(user=user, defaults=fields)


def hub_token_delete(user: User) -> None:
    HubToken.objects.filter(user=user).delete()


def hub_token_use(user: User) -> str:
    """The token itself, for the one process that asks the Hub; empty where there is none, or none that opens."""
    token = HubToken.objects.filter(user=user).first()
    if token is None:
        return ""
    try:
        opened = unseal(token.sealed)
    except CannotOpen:
        return ""
    HubToken.objects.filter(user=user).update(last_used_at=database_now())
    return opened


def hub_token_opens(token: HubToken) -> bool:
    """False once its key is lost; then it must be set again."""
    try:
        unseal(token.sealed)
    except CannotOpen:
        return False
    return True


@transaction.atomic
def hub_tokens_seal_anew() -> tuple[int, int]:
    """All with a new key, after which the old ones are forgotten. How many were sealed, and how many cannot be."""
    key_add()
    sealed = lost = 0
    for token in HubToken.objects.select_for_update():
        try:
            token.sealed = seal_anew(token.sealed)
        except CannotOpen:
            lost += 1
            continue
        token.save(update_fields=["sealed"])
        sealed += 1
    transaction.on_commit(keys_forget_old)
    record("hub-token.reseal-all", detail=f"{sealed} sealed again, {lost} lost")
    return sealed, lost
