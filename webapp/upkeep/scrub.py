"""Reads everything that is kept once a day and says aloud what is no longer what was recorded: disks forget."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Model
from django.db.models.functions import Coalesce

from webapp.adapters.models import AdapterVersion
from webapp.adapters.wholeness import held_out_is_whole, version_is_whole
from webapp.datasets.models import DatasetVersion
from webapp.datasets.rows_file import RowsDamaged, rows_verify

log = logging.getLogger(__name__)

EVERY = timedelta(days=1)


def adapter_found(version: AdapterVersion) -> dict[str, bool]:
    return {"is_damaged": not version_is_whole(version), "held_out_is_damaged": not held_out_is_whole(version)}


def dataset_found(version: DatasetVersion) -> dict[str, bool]:
    return {"is_damaged": not rows_are_whole(version)}


def rows_are_whole(version: DatasetVersion) -> bool:
    try:
        rows_verify(version.rows_path, version.rows_sha256)
    except RowsDamaged as error:
        log.error("dataset version %s: %s", version.id, error)
        return False
    return True


CHECKS: tuple[tuple[type[Model], Callable[[Any], dict[str, bool]]], ...] = (
    (AdapterVersion, adapter_found),
    (DatasetVersion, dataset_found),
)
"""What is kept -> what reading it all tells, as values of its fields."""


def scrub(now: datetime) -> int:
    """Check what nobody has looked at for a day; returns how many that were."""
    return sum(_scrub_one(model, found, now) for model, found in CHECKS for _one in _due(model, now))


def _due(model: type[Model], now: datetime) -> Any:
    seen_at = Coalesce("checked_at", "created_at")
    return model._default_manager.alias(seen_at=seen_at).filter(seen_at__lt=now - EVERY).order_by("seen_at")


def _scrub_one(model: type[Model], found: Callable[[Any], dict[str, bool]], now: datetime) -> bool:
    """Of several processes that look at once, the one that writes down that it looks is the one that does."""
    one = _due(model, now).first()
    if one is None or _due(model, now).filter(id=one.id).update(checked_at=now) != 1:
        return False
    model._default_manager.filter(id=one.id).update(**found(one))
    return True
