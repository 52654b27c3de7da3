"""The chat template that was trained with ships with the adapter, and its checksum stands in the manifest."""

import hashlib
from pathlib import Path

import pytest

from tests.engine.previews import lay_tokenizer
from tests.tiny import CHAT_TEMPLATE, make_tokenizer
from webapp.contract.job_dir import CHAT_TEMPLATE as FILE
from webapp.contract.job_dir import Manifest
from worker.engine.commit import entries_of
from worker.engine.encode import plain_template
from worker.engine.save import save_tokenizer
from worker.engine.tokenizer import load_tokenizer

PLAIN_TEMPLATE = plain_template(make_tokenizer(chat_template=None))


@pytest.mark.parametrize(("own", "shipped"), [(CHAT_TEMPLATE, CHAT_TEMPLATE), (None, PLAIN_TEMPLATE)])
def test_the_template_of_the_training_is_that_of_the_adapter(tmp_path: Path, own: str | None, shipped: str) -> None:
    base = lay_tokenizer(tmp_path / "base", make_tokenizer(chat_template=own))
    save_tokenizer(load_tokenizer(base, "generate"), tmp_path / "adapter")
    assert load_tokenizer(tmp_path / "adapter", "generate").chat_template == shipped
    assert (tmp_path / "adapter" / FILE).read_text() == shipped
    manifest = Manifest(
        method="lora", task="generate", base_model="tiny", base_model_sha256="0", files=entries_of(tmp_path / "adapter")
    )
    assert manifest.template_sha256 == hashlib.sha256(shipped.encode()).hexdigest()


def test_an_adapter_without_a_conversation_names_none() -> None:
    manifest = Manifest(method="lora", task="classify", base_model="tiny", base_model_sha256="0", files=())
    assert manifest.template_sha256 == ""
