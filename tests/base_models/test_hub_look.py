"""Looking at a model of the Hub: what it is, whether it can be fetched, and a clear word where it cannot."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from tests.base_models.hub_server import GB, SMALL, TINY, TOKEN, Hub
from tests.base_models_app.folders import make_folder
from webapp.contract.hub import HubLook, HubRequest
from worker.base_models.hub_look import look_at
from worker.base_models.hub_refusal import HubRefusal


@pytest.fixture
def model(hub: Hub, tmp_path: Path) -> Path:
    """Its files, on the Hub."""
    folder = make_folder(tmp_path / "tiny")
    hub.add(TINY, folder)
    return folder


@pytest.fixture
def aside(tmp_path: Path) -> Path:
    (tmp_path / "aside").mkdir()
    return tmp_path / "aside"


def look(aside: Path, hub_id: str = TINY, *, token: str = "", **fields: Any) -> HubLook:
    return look_at(HubRequest(wants="look", hub_id=hub_id, limit_bytes=GB, **fields), token, aside, 2 * GB)


def refused(aside: Path, *words: Any, **fields: Any) -> HubRefusal:
    with pytest.raises(HubRefusal) as caught:
        look(aside, *words, **fields)
    assert TOKEN not in str(caught.value) and "signature" not in str(caught.value)
    return caught.value


def test_it_tells_what_a_model_is_without_fetching_its_weights(hub: Hub, model: Path, aside: Path) -> None:
    found = look(aside)
    assert (found.problem, found.licence, found.model_type) == ("", "apache-2.0", "llama")
    assert found.commit == hub.repos[TINY].commit
    assert found.shape and (found.shape.num_layers, found.shape.max_length) == (2, 64)
    assert found.has_chat_template and not found.is_for_its_owner_alone
    assert found.size_bytes == sum(path.stat().st_size for path in model.iterdir())
    assert not [path for path, _range, _token in hub.asked if path.endswith(".safetensors")]


def test_a_template_inside_the_tokenizers_config_is_found(hub: Hub, model: Path, aside: Path) -> None:
    files = hub.repos[TINY].files
    del files["chat_template.jinja"]
    assert not look(aside).has_chat_template
    files["tokenizer_config.json"] = b'{"chat_template": "{{ messages }}"}'
    assert look(aside).has_chat_template


def test_code_and_pickles_are_named_as_left_behind(hub: Hub, model: Path, aside: Path) -> None:
    hub.repos[TINY].files |= {"modeling_evil.py": b"x", "pytorch_model.bin": b"x"}
    found = look(aside)
    assert set(found.left_behind) == {"modeling_evil.py", "pytorch_model.bin"}
    assert {file.name for file in found.files} == {path.name for path in model.iterdir()}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": "mamba"}, "“mamba” model"),
        ({"auto_map": {"AutoModel": "evil.py"}}, "asks to run code"),
        ({"_attn_implementation_internal": "evil/kernel"}, "asks for code from elsewhere"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"hidden_size": "wide"}, "lacks a usable number"),
        ({"num_hidden_layers": 10**12}, "no model has more than 1,000"),
        ({"num_hidden_layers": 900}, "describes a larger model than its weights"),
    ],
)
def test_a_model_that_cannot_be_trained_is_told_before_it_is_fetched(
    hub: Hub, tmp_path: Path, aside: Path, changes: dict[str, Any], says: str
) -> None:
    hub.add(TINY, make_folder(tmp_path / "tiny", **changes))
    assert says in look(aside).problem


def test_a_config_that_is_no_json_is_told(model: Path, aside: Path) -> None:
    (model / "config.json").write_text("[" * 50_000)
    assert "config.json is not JSON" in refused(aside).message


def test_a_huge_config_is_not_read(model: Path, aside: Path) -> None:
    (model / "config.json").write_text(json.dumps({"x": "x" * 3_000_000}))
    assert "larger than 2 MB" in refused(aside).message


def test_a_licence_by_another_name_is_shown(hub: Hub, model: Path, aside: Path) -> None:
    hub.repos[TINY].card = {"license": "other", "license_name": "llama3.2"}
    assert look(aside).licence == "llama3.2"
    hub.repos[TINY].card = {}
    assert look(aside).licence == ""


def test_what_no_database_keeps_is_left_out_of_a_strangers_words(hub: Hub, model: Path, aside: Path) -> None:
    hub.repos[TINY].card = {"license": "mit\x00\ud800\u202e" + "x" * 1000}
    hub.repos[TINY].files["evil\x00.py"] = b"x"
    found = look(aside)
    assert found.licence == ("mit" + "x" * 1000)[:100] and found.left_behind == ("evil.py",)


def test_a_model_that_is_not_there_is_told(hub: Hub, aside: Path) -> None:
    without, with_token = refused(aside), refused(aside, token=TOKEN)
    assert without.problem == with_token.problem == "not_found"
    assert "set your Hub token" in without.message and "your token does not open it" in with_token.message


def test_a_revision_that_is_not_there_is_told(model: Path, aside: Path) -> None:
    assert "no revision “v9”" in refused(aside, revision="v9").message


def test_a_private_model_opens_with_the_token_and_is_its_owners_alone(hub: Hub, model: Path, aside: Path) -> None:
    hub.repos[TINY].token = TOKEN
    assert refused(aside).problem == "not_found"
    assert look(aside, token=TOKEN).is_for_its_owner_alone


def test_a_gated_model_is_explained_with_the_link(hub: Hub, model: Path, aside: Path) -> None:
    hub.repos[TINY].token, hub.repos[TINY].is_gated = TOKEN, True
    page = f"{hub.url}/{TINY}"
    without, other = look(aside), look(aside, token="hf_of_somebody_else")
    assert page in without.problem and "set it on your Account page" in without.problem
    assert page in other.problem and "your token opens it not yet" in other.problem
    opened = look(aside, token=TOKEN)
    assert (opened.problem, opened.is_gated, opened.is_for_its_owner_alone) == ("", True, True)


def test_a_revoked_token_is_told(hub: Hub, model: Path, aside: Path) -> None:
    hub.revoked.add(TOKEN)
    refusal = refused(aside, token=TOKEN)
    assert refusal.problem == "no_access" and "/settings/tokens" in refusal.message


@pytest.mark.parametrize(("status", "says"), [(500, "fault of its own"), (503, "fault of its own"), (429, "fewer")])
def test_a_hub_that_is_ill_or_busy_is_told(hub: Hub, model: Path, aside: Path, status: int, says: str) -> None:
    hub.status = status
    refusal = refused(aside)
    assert refusal.problem == "no_answer" and says in refusal.message


def test_a_network_that_is_away_is_told(hub: Hub, aside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    assert "does not answer" in refused(aside).message


def test_offline_it_asks_nobody(hub: Hub, model: Path, aside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    refusal = refused(aside)
    assert refusal.problem == "offline" and "What is here works as ever" in refusal.message
    assert hub.asked == []


def test_the_token_goes_to_the_hub_and_not_to_the_store(hub: Hub, model: Path, aside: Path) -> None:
    hub.repos[TINY].files["tokenizer_config.json"] = json.dumps({"x": "x" * SMALL}).encode()
    look(aside, token=TOKEN)
    asked = {path.startswith("/store/"): token for path, _range, token in hub.asked if "agent" not in path}
    assert asked == {True: "", False: f"Bearer {TOKEN}"}
