"""How each kind of errand is done: which program its child is, what that is told, and what is kept of its answer."""

from webapp.errands.models import Kind
from worker.errand_way import Way
from worker.hub_errands import FETCH_SECONDS, LOOK_SECONDS, keep_fetched, tell_fetch, tell_look
from worker.preview_errand import PREVIEW_BLAME, PREVIEW_SECONDS, tell_preview

WAYS: dict[Kind, Way] = {
    Kind.PREVIEW: Way("worker.engine.preview", tell_preview, PREVIEW_SECONDS, blame=PREVIEW_BLAME),
    Kind.LOOK_AT_MODEL: Way("worker.base_models.hub", tell_look, LOOK_SECONDS, asks_hub=True),
    Kind.FETCH_MODEL: Way("worker.base_models.hub", tell_fetch, FETCH_SECONDS, keep=keep_fetched, asks_hub=True),
}
