"""Fetching a model of the Hub: whole or not at all, going on from what is here, and checked before it is offered."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from tests.base_models.hub_server import GB, TINY, TOKEN, Hub
from tests.stack import PROJECT
from webapp.contract.hub import FetchedModel, HubRequest
from worker.base_models.hub_fetch import fetch
from worker.base_models.hub_refusal import HubRefusal

WEIGHTS = "model.safetensors"
MB = 1 << 20


def request_of(hub: Hub, folder: Path) -> HubRequest:
    commit = hub.repos[TINY].commit
    return HubRequest(wants="fetch", hub_id=TINY, revision=commit, folder=str(folder), limit_bytes=GB)


def fetched(hub: Hub, folder: Path, *, token: str = "", told: list[tuple[str, int, int]] | None = None) -> FetchedModel:
    aside = folder.parent.parent / "aside"
    aside.mkdir(exist_ok=True)
    return fetch(request_of(hub, folder), token, aside, lambda *words: (told if told is not None else []).append(words))


def come_of(folder: Path) -> set[str]:
    return {path.name for path in folder.parent.iterdir()}


def test_a_model_comes_whole_and_without_its_code(hub: Hub, model: Path, folder: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    needless = {"_attn_implementation": "sdpa", "trust_remote_code": False, "configuration_files": ["config.4.json"]}
    (model / "config.json").write_text(json.dumps({**config, **needless}))
    hub.repos[TINY].files |= {"modeling_evil.py": b"x", "pytorch_model.bin": b"x", "adapter_config.json": b"{}"}
    told: list[tuple[str, int, int]] = []
    found = fetched(hub, folder, told=told)
    assert {path.name for path in folder.iterdir()} == {path.name for path in model.iterdir()}
    assert (folder / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()
    assert json.loads((folder / "config.json").read_text()) == config
    assert found.shape.num_params == sum(weights.size for weights in load_file(model / WEIGHTS).values())
    assert come_of(folder) == {folder.name, f"{folder.name}.lock"}
    size = found.look.size_bytes
    done = [done for _words, done, _total in told]
    assert done == sorted(done) and told[-2][1:] == (size, size)
    assert "Fetching acme/tiny" in told[-2][0] and "Checking" in told[-1][0]
    # Once more, as after a crash between the last byte and the word of it: nothing is fetched again.
    asked = len(hub.ranges_of(WEIGHTS))
    assert fetched(hub, folder) == found
    assert len(hub.ranges_of(WEIGHTS)) == asked


def test_what_was_killed_or_cut_goes_on_from_the_bytes_it_has(hub: Hub, model: Path, folder: Path) -> None:
    hub.stall_at = MB + 1000
    kill_when_stalled(hub, folder)
    hub.stall_at, hub.cut_at = None, 2 * MB + 1000
    assert not folder.exists()
    fetched(hub, folder)
    assert hub.ranges_of(WEIGHTS) == ["", f"bytes={MB}-", f"bytes={2 * MB}-"]
    assert (folder / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()


def kill_when_stalled(hub: Hub, folder: Path) -> None:
    """A process of its own fetches until the Hub stalls, and is killed there."""
    code = (
        "import sys; from pathlib import Path; from worker.base_models.hub_fetch import fetch, HubRequest;"
        "fetch(HubRequest.model_validate_json(sys.argv[1]), '', Path(sys.argv[2]), lambda *_words: None)"
    )
    words = [request_of(hub, folder).model_dump_json(), str(folder.parent.parent)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "0"}
    child = subprocess.Popen([sys.executable, "-c", code, *words], cwd=PROJECT, env=environment)
    try:
        assert hub.stalled.wait(60)
        part = folder.with_name(f"{folder.name}.partial") / f"{WEIGHTS}.part"
        while not part.exists() or part.stat().st_size < MB:
            assert child.poll() is None
            time.sleep(0.01)
    finally:
        child.kill()
        child.wait()
        hub.go_on.set()


def test_what_came_damaged_is_thrown_away_and_told(hub: Hub, model: Path, folder: Path) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True)
    (partial / f"{WEIGHTS}.part").write_bytes(bytes(MB))
    with pytest.raises(HubRefusal, match="came damaged"):
        fetched(hub, folder)
    assert not folder.exists() and not list(partial.glob(f"{WEIGHTS}*"))


def test_a_hostile_model_leaves_nothing_behind(hub: Hub, model: Path, folder: Path) -> None:
    weights = load_file(model / WEIGHTS)
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, model / WEIGHTS, {"format": "pt"})
    with pytest.raises(HubRefusal, match="NaN") as caught:
        fetched(hub, folder)
    assert caught.value.problem == "refused"
    assert come_of(folder) == {f"{folder.name}.lock"}


def test_a_gated_model_does_not_come_without_the_token(hub: Hub, model: Path, folder: Path) -> None:
    hub.repos[TINY].token, hub.repos[TINY].is_gated = TOKEN, True
    with pytest.raises(HubRefusal, match="is gated"):
        fetched(hub, folder)
    assert not folder.exists() and hub.ranges_of(WEIGHTS) == []
