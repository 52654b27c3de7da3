"""Looks at a model of the Hub: its commit, files, licence and kind, and whether it can be fetched. Brings nothing of
size."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.hf_api import ModelInfo, RepoSibling

from webapp.contract.hub import HubFile, HubLook, HubRequest, files_problem, is_wanted, type_problem
from webapp.contract.model_config import NotABaseModel, code_problem, without_needless
from webapp.contract.model_folder import shape_from_config
from webapp.contract.model_shape import FAMILY_OF_TYPE, ModelShape
from worker.base_models.hub_download import download
from worker.base_models.hub_refusal import HubRefusal, in_words, page_of

ANSWER_SECONDS = 10.0
LARGEST_READ_BYTES = 2_000_000
_MOST_NAMED = 8
_FEWEST_BYTES = 2
"""Of a weight that can be fine-tuned."""


def look_at(request: HubRequest, token: str, aside: Path, free_bytes: int) -> HubLook:
    """`aside` is a folder for config.json, the one file that is read. Raises HubRefusal where there is nothing to look
    at; what only speaks against fetching is in the look."""
    with in_words(request, has_token=bool(token)):
        info = HfApi(token=token or False).model_info(
            request.hub_id, revision=request.revision, files_metadata=True, timeout=ANSWER_SECONDS
        )
    look = _look(request, info)
    problem = files_problem(look.files, request.limit_bytes, free_bytes)
    if problem:
        return look.model_copy(update={"problem": problem})
    try:
        return _with_config(look, partial(_read, look, token=token, aside=aside))
    except HubRefusal as refusal:
        if refusal.problem != "no_access":
            raise
        return look.model_copy(update={"problem": refusal.message})


def _look(request: HubRequest, info: ModelInfo) -> HubLook:
    siblings = info.siblings or []
    files = [_file(sibling) for sibling in siblings if is_wanted(sibling.rfilename)]
    return HubLook(
        # A renamed model answers to its old name as well.
        hub_id=info.id if info.id.lower() == request.hub_id.lower() else request.hub_id,
        commit=str(info.sha),
        licence=_licence(info),
        url=page_of(request.hub_id),
        is_private=bool(info.private),
        is_gated=bool(info.gated),
        files=tuple(sorted(files, key=lambda file: file.name)),
        left_behind=tuple(_printable(one.rfilename) for one in siblings if not is_wanted(one.rfilename))[:_MOST_NAMED],
        num_params=info.safetensors.total if info.safetensors else 0,
    )


def _file(sibling: RepoSibling) -> HubFile:
    return HubFile(
        name=sibling.rfilename,
        size_bytes=sibling.size or 0,
        sha256=sibling.lfs.sha256 if sibling.lfs else "",
        git_sha1="" if sibling.lfs else sibling.blob_id or "",
    )


def _licence(info: ModelInfo) -> str:
    """As its card names it; the Hub writes `other` where there is a name and a link beside."""
    card: dict[str, Any] = info.card_data.to_dict() if info.card_data else {}  # type: ignore[no-untyped-call]
    licence = card.get("license")
    if licence == "other":
        licence = card.get("license_name") or card.get("license_link") or licence
    words = licence if isinstance(licence, list) else [licence]
    return _printable(", ".join(str(word) for word in words if word))


def _printable(words: str) -> str:
    """A stranger's words, short, and without what no database keeps or no page shows."""
    return "".join(letter for letter in words if letter.isprintable())[:100]


def _with_config(look: HubLook, read: Callable[[str], dict[str, Any]]) -> HubLook:
    config = read("config.json")
    of_tokenizer = read("tokenizer_config.json")
    model_type = str(config.get("model_type", "unknown"))
    shape, problem = _shape(config, model_type)
    weight_bytes = sum(file.size_bytes for file in look.files if file.is_weights)
    if shape and _FEWEST_BYTES * shape.linear_params > weight_bytes:
        shape, problem = None, "Its config.json describes a larger model than its weights are."
    for name, said in (("config.json", config), ("tokenizer_config.json", of_tokenizer)):
        problem = problem or code_problem(name, without_needless(said)) or ""
    # Where the template lies has changed with time.
    has_template = "chat_template" in of_tokenizer or _size(look, "chat_template.jinja") is not None
    found = {
        "model_type": _printable(model_type),
        "shape": shape,
        "problem": problem,
        "has_chat_template": has_template,
    }
    return look.model_copy(update=found)


def _read(look: HubLook, name: str, *, token: str, aside: Path) -> dict[str, Any]:
    """A small JSON file of the model; nothing where there is none."""
    size = _size(look, name)
    if size is None:
        return {}
    if size > LARGEST_READ_BYTES:
        raise HubRefusal("refused", f"Its {name} is larger than {LARGEST_READ_BYTES / 1e6:.0f} MB and was not read.")
    file = next(file for file in look.files if file.name == name)
    download(look, file, token, aside, lambda _done: None)
    try:
        said = json.loads((aside / name).read_text("utf-8"))
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise HubRefusal("refused", f"Its {name} is not JSON that can be read.")
    return said


def _size(look: HubLook, name: str) -> int | None:
    return next((file.size_bytes for file in look.files if file.name == name), None)


def _shape(config: dict[str, Any], model_type: str) -> tuple[ModelShape | None, str]:
    if problem := type_problem(model_type):
        return None, problem
    if "quantization_config" in config:
        return None, "Its weights are quantised (quantization_config). Fetch the plain model that they were made from."
    try:
        return shape_from_config(config, FAMILY_OF_TYPE[model_type]), ""
    except NotABaseModel as error:
        return None, str(error)
