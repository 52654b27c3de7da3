"""A job's own copy of its rows, each with the side of the split it stands on."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from webapp.contract.recipe import Recipe
from webapp.contract.rows import SPLIT_COLUMN
from webapp.contract.split import split_rows, split_sha256
from webapp.datasets.models import DatasetVersion
from webapp.datasets.rows_file import rows_table
from webapp.jobs.seen_rows import NOTHING_SEEN, Seen


class StoredSplit(NamedTuple):
    counts: dict[str, int]
    """Side -> rows."""
    sha256: str
    rows_sha256: str
    """Of the file."""


def rows_split_store(version: DatasetVersion, recipe: Recipe, path: Path, seen: Seen = NOTHING_SEEN) -> StoredSplit:
    """Split a dataset version's rows and write them to `path`; none that was `seen` is held out.

    Raises TooFewRows, RowsDamaged.
    """
    rows = rows_table(version.rows_path, version.rows_sha256)
    inputs = rows.column("messages" if version.is_chat else "input").to_pylist()
    outputs = rows.column("output").to_pylist() if recipe.task == "classify" else [""] * len(inputs)
    sides = split_rows(inputs, outputs, recipe.seed, trained=seen.trained, watched=seen.watched)
    path.parent.mkdir(parents=True)
    pq.write_table(rows.append_column(SPLIT_COLUMN, pa.array(sides, pa.string())), path, compression="zstd")
    counts = {side: sides.count(side) for side in ("train", "validation", "test")}
    return StoredSplit(counts, split_sha256(inputs, sides), _sha256(path))


def rows_are_whole(path: Path, sha256: str) -> bool:
    """Whether a job's rows are the bytes that were accepted; of jobs of an older version nobody knows."""
    return not sha256 or _sha256(path) == sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
