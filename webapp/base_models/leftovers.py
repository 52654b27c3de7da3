"""Files of the Hub's models that nothing speaks of: parts of fetches that nobody went on with, models whose row was
never written."""

import logging
import time
from pathlib import Path

from webapp import storage
from webapp.base_models.models import BaseModel
from webapp.errands.models import Errand, Kind

log = logging.getLogger(__name__)

OLD_SECONDS = 24 * 3600.0
"""Far longer than anything takes between a folder's name and its row."""


def hub_leftovers_remove() -> list[Path]:
    """Returns what was removed. What an errand still speaks of stays as long as the errand."""
    known = set(BaseModel.objects.exclude(hub_id="").values_list("id", flat=True))
    known |= set(Errand.objects.filter(kind=Kind.FETCH_MODEL).values_list("payload__model_id", flat=True))
    old = time.time() - OLD_SECONDS
    found = [path for path in storage.base_models_dir().glob("hub.*") if path.stat().st_mtime < old]
    left = [path for path in found if path.name.removesuffix(".partial").removesuffix(".lock") not in known]
    for path in left:
        log.warning("nothing speaks of %s; it is removed", path)
        storage.folder_delete(path)
    return left
