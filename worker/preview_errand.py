"""Rendering rows as the model will see them: what the child is told, by this machine's paths."""

from webapp.adapters.models import AdapterVersion
from webapp.base_models.models import BaseModel
from webapp.contract.job_dir import TOKENIZER_CONFIG, Manifest
from webapp.contract.preview import PreviewRequest
from webapp.contract.version import TEXT_VERSION
from webapp.datasets.models import DatasetVersion
from webapp.errands.models import Errand
from worker.errand_way import CannotDo, Told

PREVIEW_SECONDS = 90.0
"""Three times what its child may compute: other work may have the processor."""
PREVIEW_BLAME = "Most likely it is the base model's chat template, or very long rows."


def tell_preview(errand: Errand) -> Told:
    """The payload is what `webapp.jobs.model_view` asks."""
    asked = errand.payload
    version = DatasetVersion.objects.filter(id=asked["dataset_version"]).first()
    base_model = BaseModel.objects.filter(id=asked["base_model"]).first()
    if version is None or base_model is None:
        raise CannotDo("The dataset or the base model was deleted meanwhile. Choose again.")
    start = _start_of(asked.get("start_adapter"))
    own_tokenizer = start is not None and (start.files_dir / TOKENIZER_CONFIG).exists()
    request = PreviewRequest(
        task=asked["task"],
        max_length=asked["max_length"],
        folder=str(start.files_dir if start and own_tokenizer else base_model.path),
        rows=str(version.rows_path),
        text_version=Manifest.model_validate(start.manifest).text_version if start else TEXT_VERSION,
        seed=asked["seed"],
    )
    return Told(request.model_dump_json())


def _start_of(version_id: str | None) -> AdapterVersion | None:
    """The adapter that training continues from: rows become tokens as they did for it, as the engine does it."""
    if version_id is None:
        return None
    version = AdapterVersion.objects.filter(id=version_id).first()
    if version is None:
        raise CannotDo("The adapter to continue from was deleted meanwhile. Choose again.")
    return version
