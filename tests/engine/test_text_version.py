"""How conversations become tokens travels with job and adapter: what was begun one way goes on that way."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from tests.engine.here import Attempt
from tests.tiny import CHAT_TEMPLATE, capitals, lay_job_dir, make_llama, tiny_recipe
from webapp.contract.job_dir import ADAPTER, MANIFEST, RECIPE, START_ADAPTER, Manifest
from webapp.contract.job_dir import CHAT_TEMPLATE as TEMPLATE_FILE
from worker.engine.encode import FIRST_PLAIN_TEMPLATE, plain_template


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = make_llama(tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    return folder


def job(folder: Path, base: Path, **words: object) -> Path:
    """A short one; `words` are what its recipe says besides."""
    job_dir = lay_job_dir(folder, tiny_recipe(base, epochs=1), capitals(), base)
    recipe = json.loads((job_dir / RECIPE).read_text())
    (job_dir / RECIPE).write_text(json.dumps({**recipe, **words}))
    return job_dir


def trained(job_dir: Path) -> tuple[int, str]:
    """The version and the template that its adapter was kept with."""
    attempt = Attempt(job_dir)
    assert attempt.exit_code == 0, attempt.events[-1]
    manifest = Manifest.model_validate_json((job_dir / ADAPTER / MANIFEST).read_text())
    return manifest.text_version, (job_dir / ADAPTER / TEMPLATE_FILE).read_text()


def test_a_job_that_was_accepted_before_stays_with_its_version(tmp_path: Path, base: Path) -> None:
    assert trained(job(tmp_path / "old", base, version=3)) == (1, FIRST_PLAIN_TEMPLATE)
    plain = plain_template(AutoTokenizer.from_pretrained(base))
    assert trained(job(tmp_path / "new", base)) == (2, plain)


def test_what_goes_on_from_an_older_adapter_keeps_its_version_and_template(tmp_path: Path, base: Path) -> None:
    old = job(tmp_path / "old", base, version=3)
    trained(old)
    manifest = json.loads((old / ADAPTER / MANIFEST).read_text())
    del manifest["text_version"], manifest["snippet"]  # as older versions wrote it
    (old / ADAPTER / MANIFEST).write_text(json.dumps(manifest))
    new = job(tmp_path / "new", base, start_adapter="00000000-0000-0000-0000-000000000000")
    (new / START_ADAPTER).symlink_to(old / ADAPTER)
    assert trained(new) == (1, FIRST_PLAIN_TEMPLATE)


def test_what_a_template_writes_before_each_answer_stands_in_the_code(tmp_path: Path, base: Path) -> None:
    thoughts = "('<think></think>' if m['role'] == 'assistant' else '')"
    thinking = CHAT_TEMPLATE.replace("m['content']", f"{thoughts} + m['content']")
    (base / "chat_template.jinja").write_text(thinking)
    trained(job(tmp_path / "job", base))
    card = (tmp_path / "job" / ADAPTER / "README.md").read_text()
    assert "tokenize=False) + '<think></think>' for chat in chats]" in card
