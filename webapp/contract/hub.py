"""Base models of the Hugging Face Hub: what is asked of the Hub's child, which files it may bring, what it answers."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from webapp.contract.model_config import SMALL_FILE_BYTES
from webapp.contract.model_shape import FAMILY_OF_TYPE, ModelShape

HUB_ID = re.compile(r"[A-Za-z0-9_.-]{1,96}/[A-Za-z0-9_.-]{1,96}")
REVISION = re.compile(r"[A-Za-z0-9_.-]{1,100}")
COMMIT = re.compile(r"[0-9a-f]{40}")

_NAMES = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "chat_template.jinja", "model.safetensors.index.json",
)  # fmt: skip
_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")

SPARE_BYTES = 1_000_000_000
"""What must stay free on the disk beside a fetched model."""

HubProblem = Literal["offline", "no_answer", "not_found", "no_access", "refused"]


class HubFile(BaseModel):
    """A file of a commit. The Hub names large files by their sha256, small ones by git's own checksum."""

    model_config = ConfigDict(frozen=True)

    name: str
    size_bytes: int = Field(ge=0)
    sha256: str = ""
    git_sha1: str = ""

    @property
    def is_weights(self) -> bool:
        return _WEIGHTS.fullmatch(self.name) is not None


class HubRequest(BaseModel):
    """What the child is asked. The token is not in here: it comes through a pipe and touches no disk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wants: Literal["look", "fetch"]
    hub_id: str = Field(pattern=rf"^{HUB_ID.pattern}$")
    revision: str = Field(default="main", pattern=rf"^{REVISION.pattern}$")
    """A branch or tag to look at; what is fetched is a commit."""
    folder: str = ""
    """Where the fetched model shall lie; what has come so far lies beside it."""
    limit_bytes: int = 0


class HubLook(BaseModel):
    """What the Hub says of a model, before anything of size is fetched."""

    model_config = ConfigDict(frozen=True)

    hub_id: str
    commit: str = Field(pattern=rf"^{COMMIT.pattern}$")
    licence: str
    url: str
    is_private: bool
    is_gated: bool
    files: tuple[HubFile, ...]
    left_behind: tuple[str, ...] = ()
    """Files that are never fetched, the first few of them."""
    num_params: int = 0
    """As the Hub counts them; 0 where it does not."""
    model_type: str = ""
    shape: ModelShape | None = None
    """From its config.json, where that could be read and we know the kind."""
    has_chat_template: bool = False
    problem: str = ""
    """Why it cannot be fetched, in a sentence for people; empty where it can."""

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def is_for_its_owner_alone(self) -> bool:
        """What only a token opened must not be shown to those who have none."""
        return self.is_private or self.is_gated


class FetchedModel(BaseModel):
    """A fetched model that was checked and lies in its folder."""

    model_config = ConfigDict(frozen=True)

    look: HubLook
    shape: ModelShape
    has_chat_template: bool


def is_wanted(name: str) -> bool:
    """Whether a file of a repository may be fetched: by its whole name, so that no code, no pickle, no adapter and
    nothing in a subfolder ever comes along."""
    return name in _NAMES or _WEIGHTS.fullmatch(name) is not None


def id_problem(hub_id: str) -> str | None:
    """Why this is no name of a model on the Hub."""
    # `..` fits the pattern and means the folder above.
    if HUB_ID.fullmatch(hub_id) and not any(set(part) <= {"."} for part in hub_id.split("/")) and ".." not in hub_id:
        return None
    return "Give the model's name as on its page: owner/name, as in HuggingFaceTB/SmolLM2-360M-Instruct."


def revision_problem(revision: str) -> str | None:
    """Why this names no commit, tag or branch that we ask for."""
    if REVISION.fullmatch(revision) and ".." not in revision:
        return None
    return "Give a commit, a tag or a branch in letters, digits and . _ -; or leave it empty for the newest."


def files_problem(files: tuple[HubFile, ...], limit_bytes: int, free_bytes: int) -> str | None:
    """Why these files are not fetched, in a sentence."""
    if not any(file.is_weights for file in files):
        return "It has no *.safetensors weights. Files as .bin or .pt can run code and are never fetched."
    names = {file.name for file in files}
    missing = [name for name in ("config.json", "tokenizer.json") if name not in names]
    if missing:
        return f"It has no {' and no '.join(missing)}, without which it cannot be trained here."
    for file in files:
        if not file.is_weights and file.size_bytes > SMALL_FILE_BYTES:
            most = SMALL_FILE_BYTES / 1e6
            return f"Its {file.name} has {file.size_bytes / 1e6:,.0f} MB; more than {most:.0f} MB are not read."
    size = sum(file.size_bytes for file in files)
    if size > limit_bytes:
        return (
            f"It has {size / 1e9:.1f} GB and this installation fetches up to {limit_bytes / 1e9:.1f} GB. An admin can "
            "raise GRAFTWORK_HUB_LIMIT_GB."
        )
    if size + SPARE_BYTES > free_bytes:
        return f"It has {size / 1e9:.1f} GB and the disk has {free_bytes / 1e9:.1f} GB left. Free some space first."
    return None


def type_problem(model_type: str) -> str | None:
    """Why models of this kind cannot be fine-tuned here."""
    if model_type in FAMILY_OF_TYPE:
        return None
    return f"It is a “{model_type[:40]}” model; this version can fine-tune: {', '.join(sorted(FAMILY_OF_TYPE))}."
