"""What lies where in a job's folder. The engine is a filter: these files in, those files out.

in    recipe.json  facts.json  options.json  rows.parquet  base_model/ (a link)  start_adapter/ (a link, if any)
      checkpoints/ (of an earlier attempt)
out   events.jsonl  engine.log  checkpoints/  adapter/  verdict.json  held_out.jsonl
"""

from pydantic import BaseModel, ConfigDict

RECIPE = "recipe.json"
FACTS = "facts.json"
OPTIONS = "options.json"
ROWS = "rows.parquet"
BASE_MODEL = "base_model"
START_ADAPTER = "start_adapter"
"""The files of the adapter that training goes on from, where the recipe names one."""
EVENTS = "events.jsonl"
LOG = "engine.log"
ADAPTER = "adapter"
MANIFEST = "manifest.json"
"""Inside `adapter/`, written last; lists every other file there with size and sha256."""
CHAT_TEMPLATE = "chat_template.jinja"
"""Inside `adapter/`, where the task is a conversation."""
TOKENIZER_CONFIG = "tokenizer_config.json"
"""Inside `adapter/`, beside the rest of the tokenizer that was trained with."""
PROMPT_NETWORK = "prompt_network.safetensors"
"""Inside `adapter/` of some methods: what made the virtual tokens. Needed to train on, not to use them."""
VERDICT = "verdict.json"
HELD_OUT = "held_out.jsonl"
"""All held-out rows with both models' answers; see `held_out.py`."""
CHECKPOINTS = "checkpoints"
"""One folder a checkpoint; the engine goes on from the newest whole one it finds here at its start."""


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
    continues: str = ""
    """The adapter that training goes on from, as people know it."""


class Options(BaseModel):
    """How the worker wants an attempt to be run. Nothing here changes what is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint_seconds: float = 30.0
    """A checkpoint at least this often, between two steps."""
    checkpoint_steps: int = 0
    """Also every so many steps; 0: by time alone."""
    keep_checkpoints: int = 2
    """The newest that stay, beside the best one."""
    micro_batch_divisor: int = 1
    """2 after memory ran out: pieces half as large, the same effective batch and so the same training."""
    num_processes: int = 1
    """Among so many, each with a GPU of its own, the rows of a step are dealt; the sum is the same training."""
    is_sharded: bool = False
    """Each process keeps its share of the frozen base alone, so that one may be larger than a card."""
    min_free_bytes: int = 200_000_000
    """Less free space than this on the job's disk stops the attempt before it writes half a file."""


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
    snippet: str = ""
    """Python code that uses the adapter, as its card shows it; empty in adapters of older versions."""
    text_version: int = 1
    """How conversations became tokens when it was trained; see `version.TEXT_VERSION`."""
    files: tuple[FileEntry, ...]

    @property
    def template_sha256(self) -> str:
        """Of the chat template that was trained with, and that whoever uses the adapter has to use; empty without."""
        return next((one.sha256 for one in self.files if one.name == CHAT_TEMPLATE), "")

    @property
    def weight_bytes(self) -> int:
        """Of the weights that are needed to use what was trained."""
        weights = [one for one in self.files if one.name.endswith(".safetensors") and one.name != PROMPT_NETWORK]
        return sum(one.size_bytes for one in weights)
