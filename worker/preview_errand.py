"""Rendering rows as the model will see them: what the child is told, by this machine's paths."""

from webapp.base_models.models import BaseModel
from webapp.contract.preview import PreviewRequest
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
    request = PreviewRequest(
        task=asked["task"],
        max_length=asked["max_length"],
        folder=str(base_model.path),
        rows=str(version.rows_path),
        seed=asked["seed"],
    )
    return Told(request.model_dump_json())
