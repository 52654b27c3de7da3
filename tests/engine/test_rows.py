"""Rows come back from the disk as they were encoded, in any number, without taking memory for what is not looked at."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.tiny import lay_job_dir, make_bert, make_llama, tiny_recipe
from webapp.contract.job_dir import ROWS
from worker.engine.encode import row_encoder
from worker.engine.errors import TrainingError
from worker.engine.rows import CACHE, CHUNK_ROWS, ENCODED, JobRows, read_rows
from worker.engine.tokenizer import load_tokenizer

NUM_ROWS = 3 * CHUNK_ROWS + 7


def rows_of(folder: Path, *, task: str, num_rows: int = NUM_ROWS) -> tuple[Path, JobRows]:
    base = (make_llama if task == "generate" else make_bert)(folder / "base")
    rows = [(f"row {number}", ("odd", "even", "even")[number % 3]) for number in range(num_rows)]
    recipe = tiny_recipe(base, task=task)
    job_dir = lay_job_dir(folder / "job", recipe, rows, base)
    return job_dir, read_rows(job_dir, recipe, load_tokenizer(base, recipe.task))


@pytest.mark.parametrize("task", ["generate", "classify"])
def test_each_row_comes_back_as_it_was_encoded(task: Any, tmp_path: Path) -> None:
    job_dir, rows = rows_of(tmp_path, task=task)
    labels = ["even", "odd"] if task == "classify" else []
    encode = row_encoder(task, 100, load_tokenizer(tmp_path / "base", task), labels)
    expected: dict[str, list[Any]] = {"train": [], "validation": [], "test": []}
    for row in pq.read_table(job_dir / ROWS).to_pylist():
        expected[row["split"]].append((encode(row), (row["line"], row["input"], row["output"])))
    for side, found in (("train", rows.train), ("validation", rows.validation), ("test", rows.test)):
        assert [(one, tuple(found.text(at))) for at, one in enumerate(found)] == expected[side]
        assert found.lengths == [one.length for one in found]
    assert list(zip(*rows.held_out, strict=True)) == [text for _encoded, text in expected["test"]]
    assert (rows.labels, rows.common_label) == (labels, labels[0] if labels else "")
    assert rows.train[3:5] == [rows.train[3], rows.train[4]]


def test_rows_lie_on_the_disk_and_not_in_memory(tmp_path: Path) -> None:
    before = pa.total_allocated_bytes()
    job_dir, rows = rows_of(tmp_path, task="generate")
    assert len(rows.train) > 2 * CHUNK_ROWS
    assert pa.total_allocated_bytes() - before < 0.05 * (job_dir / CACHE / ENCODED).stat().st_size


def test_a_side_without_a_row_is_told(tmp_path: Path) -> None:
    job_dir, _rows = rows_of(tmp_path, task="generate", num_rows=40)
    table = pq.read_table(job_dir / ROWS)
    pq.write_table(table.filter(pc.not_equal(table["split"], "validation")), job_dir / ROWS)
    base = tmp_path / "base"
    with pytest.raises(TrainingError, match="No row is left for the side “validation”"):
        read_rows(job_dir, tiny_recipe(base), load_tokenizer(base, "generate"))
