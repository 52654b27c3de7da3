"""What the worker and the pages can tell of checkpoints without torch."""

import hashlib
from pathlib import Path

from webapp.contract.checkpoint import (
    CheckpointManifest,
    checkpoint_name,
    checkpoint_problem,
    checkpoints_in,
    newest_whole,
)
from webapp.contract.job_dir import CHECKPOINTS, MANIFEST, FileEntry


def lay_checkpoint(attempt_dir: Path, step: int, content: bytes = b"weights") -> Path:
    folder = attempt_dir / CHECKPOINTS / checkpoint_name(step)
    folder.mkdir(parents=True)
    (folder / "state.json").write_bytes(content)
    entry = FileEntry(name="state.json", size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    manifest = CheckpointManifest(
        step=step, total_steps=200, epoch=step / 100, held_out_loss=None, best_step=0, recipe_sha256="r",
        split_sha256="s", made_at=1.0, files=(entry,),
    )  # fmt: skip
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return folder


def test_the_newest_come_first_in_order_of_number(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        lay_checkpoint(tmp_path, step)
    found = checkpoints_in(tmp_path)
    assert [one.manifest.step for one in found] == [100, 20, 9]
    assert found[0].manifest.size_bytes == len(b"weights")


def test_an_attempt_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert checkpoints_in(tmp_path) == [] and newest_whole(tmp_path) is None


def test_half_written_ones_are_not_seen(tmp_path: Path) -> None:
    folder = lay_checkpoint(tmp_path, 5)
    folder.rename(folder.with_name(folder.name + ".partial"))
    (lay_checkpoint(tmp_path, 6) / MANIFEST).unlink()
    assert checkpoints_in(tmp_path) == []


def test_a_damaged_one_says_what_is_wrong_and_the_older_is_taken(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        lay_checkpoint(tmp_path, step)
    newest, middle, oldest = checkpoints_in(tmp_path)
    (newest.folder / "state.json").write_bytes(b"Weights")
    (middle.folder / "state.json").unlink()
    assert checkpoint_problem(newest) == "state.json differs from its manifest."
    assert checkpoint_problem(middle) == "state.json cannot be read (No such file or directory)."
    assert checkpoint_problem(oldest) is None
    assert newest_whole(tmp_path) == oldest
