"""What lies where in a job's folder. The engine is a filter: these files in, those files out.

in    recipe.json  facts.json  rows.parquet  base_model/ (a link)
out   events.jsonl  engine.log  adapter/  verdict.json
"""

from pydantic import BaseModel, ConfigDict

RECIPE = "recipe.json"
FACTS = "facts.json"
ROWS = "rows.parquet"
BASE_MODEL = "base_model"
EVENTS = "events.jsonl"
LOG = "engine.log"
ADAPTER = "adapter"
MANIFEST = "manifest.json"
"""Inside `adapter/`, written last; lists every other file there with size and sha256."""
VERDICT = "verdict.json"


class Facts(BaseModel):
    """What the model card tells beside the recipe and the figures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    base_model_title: str
    base_model_reference: str
    """What a user of the adapter loads as the base: a Hub id, or the folder's name."""
    base_model_licence: str
    dataset_name: str
    split_sha256: str


class FileEntry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    size_bytes: int
    sha256: str


class Manifest(BaseModel):
    """`adapter/manifest.json`. `labels` in the order of the classifier's outputs; empty for other tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    method: str
    task: str
    base_model: str
    base_model_sha256: str
    """Of the base model's safetensors file (of all, in order of name, where there are several)."""
    labels: tuple[str, ...] = ()
    files: tuple[FileEntry, ...]
