"""Whatever bytes come, they end in an upload or in one refusal, never in another exception."""

import json
import tempfile
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from tests.factories import make_user
from webapp.datasets.forms import roles_form_for
from webapp.datasets.mapping import mapping_guess
from webapp.datasets.reading.start import reading_here
from webapp.datasets.services import upload_create, upload_read

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
PIECES = st.sampled_from(
    ["\n", "\r", ",", ";", "\t", '"', '""', "{", "}", "[", "]", ":", "\\", "\\u", "\\ud800", "NaN", "1e999", "null",
     "é", "\ufeff", "\0", "a", "b", "question", "messages", '{"a": "b"}', "🙂", " "]
)  # fmt: skip
CONTENTS = st.one_of(
    st.binary(max_size=300),
    st.lists(PIECES, max_size=60).map(lambda parts: "".join(parts).encode()),
    st.lists(PIECES, max_size=40).map(lambda parts: "".join(parts).encode("utf-16")),
    st.lists(JSON_VALUES, max_size=4).map(lambda rows: "\n".join(map(json.dumps, rows)).encode()),
    st.lists(JSON_VALUES, max_size=4).map(lambda rows: json.dumps(rows, ensure_ascii=True, indent=1).encode()),
)
NAMES = st.sampled_from(["rows.csv", "rows.tsv", "rows.jsonl", "rows.json", "rows"]) | st.text(max_size=20)


class AnyBytes(TestCase):
    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(content=CONTENTS, name=NAMES)
    def test_they_end_in_an_upload_or_one_refusal(self, content: bytes, name: str) -> None:
        with tempfile.TemporaryDirectory() as folder, self.settings(DATA_DIR=Path(folder)):
            owner: Any = make_user()
            upload = upload_create(owner, ContentFile(content), name)
            # What the child does, in this process: hundreds of processes would take minutes.
            facts = reading_here(upload, None).facts
            upload_read(upload)
            assert facts is not None
            if facts.refusal:
                assert facts.refusal.message and facts.refusal.hint
                assert upload.refusal and [path for path in Path(folder).rglob("*") if path.is_file()] == []
                return
            assert upload.num_rows > 0
            assert upload.path.read_bytes() == content
            mapping = mapping_guess(upload.columns)
            assert roles_form_for(upload.columns, mapping).is_valid()
            check = upload_read(upload, mapping).check
            assert check is not None and check.num_problems + check.num_rows == upload.num_rows
