"""What a person's Hub token can undergo."""

from webapp.accounts.models import User
from webapp.clock import database_now
from webapp.hub_tokens.models import HubToken
from webapp.sealing import CannotOpen, seal, unseal


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
