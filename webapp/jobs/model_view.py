"""What the model will see of a dataset's rows: asked of a worker, since only it may run a tokenizer and a template."""

from datetime import timedelta
from typing import Literal, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from pydantic import BaseModel as Validated
from pydantic import ConfigDict, Field

from webapp.accounts.models import User
from webapp.base_models.models import BaseModel
from webapp.contract.preview import Preview
from webapp.contract.tasks import Task
from webapp.contract.version import TEXT_VERSION
from webapp.datasets.models import DatasetVersion
from webapp.errands.models import Errand, Kind, State
from webapp.errands.services import TooManyErrands, errand_ask, errand_asked, errands_are_served

ANSWERS_KEPT = timedelta(days=1)
_READ_BY_THE_TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "vocab.txt",
)  # fmt: skip


class Question(Validated):
    """What the address of a view says. `draw`: which random rows; `again`: ask anew after a failure."""

    model_config = ConfigDict(frozen=True)

    dataset: UUID
    base_model: str
    task: Task
    max_length: int = Field(ge=1, le=10**6)
    virtual_tokens: int = Field(default=0, ge=0, le=10**6)
    start_adapter: UUID | None = None
    """The adapter that training continues from: its own tokenizer and template are used then."""
    draw: int = Field(default=0, ge=0, le=10**6)
    again: bool = False

    def address(self, **changed: object) -> str:
        """Without `again`, which is meant once."""
        return urlencode({**self.model_dump(exclude={"again"}, exclude_none=True), **changed})


class Shown(NamedTuple):
    """How far the answer is: `words` says why there is none, `preview` is it."""

    state: Literal["moving", "no_worker", "not_fetched", "failed", "done"]
    words: str = ""
    preview: Preview | None = None


def model_view(user: User, question: Question, version: DatasetVersion, base_model: BaseModel) -> Shown:
    """Asks, if nobody has asked the same before."""
    if not base_model.is_ready:
        words = f"{base_model.title} is not here yet: the first job that uses it fetches it. From then on it is shown."
        return Shown("not_fetched", words)
    payload = {
        "dataset_version": str(version.id),
        "base_model": base_model.id,
        "files": _newest_file(base_model),
        "task": question.task,
        "max_length": question.max_length,
        "seed": question.draw,
        "text_version": TEXT_VERSION,
    }
    if question.start_adapter is not None:
        payload["start_adapter"] = str(question.start_adapter)
    asked = None if question.again else errand_asked(Kind.PREVIEW, payload, answers_kept=ANSWERS_KEPT)
    # Without a worker nothing is put in the queue by merely looking at a page.
    if (asked is None or asked.is_moving) and not errands_are_served():
        return Shown("no_worker", "No worker is online that could render the rows. They appear here once one is.")
    try:
        return _shown(asked or errand_ask(user, Kind.PREVIEW, payload))
    except TooManyErrands as error:
        return Shown("failed", str(error))


def template_refusal(
    version: DatasetVersion, base_model: BaseModel, task: Task, start_adapter: UUID | None = None
) -> str | None:
    """Why the newest view of these rows says that the base model's chat template refuses them, whoever asked for it
    and however long rows may be; None if it does not, or if there was none."""
    if task != "generate" or not base_model.is_ready:
        return None
    same = {"dataset_version": str(version.id), "base_model": base_model.id, "task": task}
    views = Errand.objects.filter(kind=Kind.PREVIEW, state__in=(State.DONE, State.FAILED)).filter(
        **{f"payload__{name}": value for name, value in {**same, "files": _newest_file(base_model)}.items()}
    )
    if start_adapter is None:
        views = views.filter(payload__start_adapter__isnull=True)
    else:
        views = views.filter(payload__start_adapter=str(start_adapter))
    newest = views.order_by("-created_at").first()
    if newest is None or newest.state != State.FAILED or (newest.result or {}).get("code") != "template":
        return None
    return newest.error


def _shown(errand: Errand) -> Shown:
    if errand.is_moving:
        return Shown("moving")
    if errand.state == State.DONE:
        return Shown("done", preview=Preview.model_validate(errand.result))
    return Shown("failed", errand.error or "It was stopped.")


def _newest_file(base_model: BaseModel) -> int:
    """A folder whose template was changed is another question."""
    paths = [base_model.path / name for name in _READ_BY_THE_TOKENIZER]
    return max((path.stat().st_mtime_ns for path in paths if path.exists()), default=0)
