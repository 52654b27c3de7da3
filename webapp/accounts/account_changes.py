"""Tells the audit log what happens to accounts, whoever does it: a page, Django's admin, or a command such as
createsuperuser or changepassword."""

from typing import Any

from django.contrib.admin.models import LogEntry

from webapp.accounts.models import User
from webapp.audit.recording import note, record

_FIELDS = ("username", "is_active", "is_staff", "is_superuser")


def note_before(instance: User, **_: Any) -> None:
    """A receiver of `pre_save`: what is about to change. A new last sign-in is none of it."""
    before = User.objects.filter(pk=instance.pk).values(*_FIELDS, "password").first() if instance.pk else None
    if before is None:
        instance.account_changes = None
        return
    after = {name: getattr(instance, name) for name in before}
    changed = [f"{name} {before[name]} → {after[name]}" for name in _FIELDS if before[name] != after[name]]
    if before["password"] != after["password"]:
        changed.append("password changed")
    instance.account_changes = ", ".join(changed)


def record_save(instance: User, **_: Any) -> None:
    """A receiver of `post_save`."""
    if instance.account_changes is None:
        roles = [name for name in ("is_staff", "is_superuser") if getattr(instance, name)]
        record("account.add", instance, detail=", ".join(roles))
    elif instance.account_changes:
        record("account.change", instance, detail=f"{instance}: {instance.account_changes}")


def record_delete(instance: User, **_: Any) -> None:
    """A receiver of `post_delete`."""
    record("account.delete", instance, detail=str(instance))


def note_admin_change(instance: LogEntry, created: bool, **_: Any) -> None:
    """A receiver of `post_save`: Django's admin names the fields that it changed, without their values."""
    if created:
        note(f"{instance.object_repr}: {instance.get_change_message()}")
