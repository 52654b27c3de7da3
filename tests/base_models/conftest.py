"""An index of ours that pip asks instead of the world's, and a Hub that huggingface_hub asks."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from tests.base_models.hub_server import TINY, Hub
from tests.base_models.hub_server import serving as serving_hub
from tests.base_models.index import Index, serving
from tests.base_models.packages import NAME, make_wheel, starter_of
from tests.tiny import make_bert, make_llama
from webapp.contract.base_models import StarterModel

INSIDE = "tiny_model/model/"


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformers folder with all the files an encoder's package brings."""
    folder = make_bert(tmp_path_factory.mktemp("bert") / "model")
    (folder / "special_tokens_map.json").write_text("{}")
    (folder / "vocab.txt").write_text("[PAD]\n")
    return folder


@pytest.fixture(scope="session")
def wheel(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {INSIDE + path.name: path.read_bytes() for path in bert.iterdir()}
    return make_wheel(tmp_path_factory.mktemp("wheel"), files)


@pytest.fixture
def starter(wheel: Path, bert: Path) -> StarterModel:
    return starter_of(wheel, INSIDE, bert)


@pytest.fixture
def index(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    with serving(Index(wheel, NAME)) as index:
        use_index(monkeypatch, index.url)
        yield index


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Hub]:
    """For this process and for its children, whatever this machine and other tests have set."""
    settings.HUB, settings.HUB_IS_OFFLINE = "members", False
    with serving_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        # The library reads its environment once, when it is imported.
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield hub


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three megabytes of weights, so that there is something to cut."""
    return make_llama(tmp_path_factory.mktemp("hub") / "llama", hidden_size=128, intermediate_size=768)


@pytest.fixture
def model(llama: Path, hub: Hub, tmp_path: Path) -> Path:
    """Its files, on the Hub."""
    folder = tmp_path / "llama"
    shutil.copytree(llama, folder)
    hub.add(TINY, folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models" / "hub.acme.tiny"


def use_index(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """pip's environment, with nothing of this machine's own settings."""
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_RETRIES", "0")
