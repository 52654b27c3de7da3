"""A checkpoint is whole or passed over; older ones go only after a newer is in place; no error of writing is lost."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.engine.commits import RECIPE, Bench
from tests.engine.dice import make_dice
from tests.engine.full_disk import files_no_longer_than
from tests.faults.crash_points import crash_points
from webapp.contract.checkpoint import CheckpointManifest, checkpoint_folders, checkpoints_in, newest_whole
from webapp.contract.events import CheckpointRefused, CheckpointSaved
from webapp.contract.job_dir import CHECKPOINTS, MANIFEST
from worker.engine.checkpoint import STATE, TENSORS
from worker.engine.errors import TrainingError
from worker.engine.training import copy_of

FILES = [STATE, *(f"{name}.safetensors" for name in TENSORS)]


@pytest.fixture
def job_dir(tmp_path: Path) -> Path:
    (tmp_path / "job").mkdir()
    return tmp_path / "job"


def steps_in(job_dir: Path) -> list[int]:
    return [one.manifest.step for one in checkpoints_in(job_dir)]


def newest(job_dir: Path) -> Path:
    return checkpoint_folders(job_dir)[0]


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[make_dice().randrange(len(content))] ^= 1
    path.write_bytes(content)


def test_what_was_saved_is_what_is_loaded(job_dir: Path) -> None:
    bench = Bench(job_dir).steps(2)
    bench.step()
    torch.rand(5)
    saved = {name: copy_of(tensors) for name, tensors in bench.training.tensors().items()}
    bench.save()
    resumed = Bench(job_dir)
    loaded = resumed.training.tensors()
    assert resumed.standing == bench.standing and resumed.standing.step == 3
    assert {name: set(tensors) for name, tensors in loaded.items()} == {name: set(saved[name]) for name in TENSORS}
    for name, tensors in saved.items():
        for key, tensor in tensors.items():
            assert torch.equal(tensor, loaded[name][key]), (name, key)
    assert not torch.equal(saved["weights"]["weight"], saved["best"]["weight"])


def test_the_manifest_tells_what_pages_show(job_dir: Path) -> None:
    bench = Bench(job_dir)
    bench.standing.held_out_loss = 1.5
    bench.step(is_best=True)
    bench.save()
    (one,) = checkpoints_in(job_dir)
    assert (one.manifest.step, one.manifest.total_steps, one.manifest.held_out_loss) == (1, 100, 1.5)
    (told,) = (event for event in bench.told if isinstance(event, CheckpointSaved))
    assert (told.step, told.size_bytes) == (1, sum((one.folder / name).stat().st_size for name in FILES))


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_and_the_older_one_is_taken(name: str, job_dir: Path) -> None:
    Bench(job_dir).steps(2)
    flip_a_byte(newest(job_dir) / name)
    bench = Bench(job_dir)
    (refused,) = (event for event in bench.told if isinstance(event, CheckpointRefused))
    assert bench.standing.step == 1
    assert refused.step == 2 and name in refused.reason


def _cut(folder: Path) -> None:
    path = folder / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def _of_format_2(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "format": 2}))


def _without_a_file(folder: Path) -> None:
    """Listed nowhere, so that every checksum fits."""
    manifest = CheckpointManifest.model_validate_json((folder / MANIFEST).read_bytes())
    files = tuple(entry for entry in manifest.files if entry.name != "best.safetensors")
    (folder / "best.safetensors").unlink()
    (folder / MANIFEST).write_text(manifest.model_copy(update={"files": files}).model_dump_json())


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), "manifest.json is missing"),
        (lambda folder: (folder / MANIFEST).write_bytes(b"{"), "manifest.json"),
        (lambda folder: (folder / STATE).unlink(), "state.json cannot be read"),
        (_cut, "optimizer.safetensors differs"),
        (_of_format_2, "format 2"),
        (_without_a_file, "cannot be read"),
    ],
    ids=["no manifest", "torn manifest", "a file gone", "cut short", "another format", "a file nobody lists"],
)
def test_what_is_not_whole_is_passed_over(harm: Callable[[Path], object], reason: str, job_dir: Path) -> None:
    Bench(job_dir).steps(2)
    harm(newest(job_dir))
    bench = Bench(job_dir)
    (refused,) = (event for event in bench.told if isinstance(event, CheckpointRefused))
    assert bench.standing.step == 1 and reason in refused.reason


def test_what_belongs_to_another_recipe_or_split_is_passed_over(job_dir: Path) -> None:
    Bench(job_dir).steps(2)
    other = RECIPE.model_copy(update={"seed": 99})
    for bench, reason in ((Bench(job_dir, recipe=other), "recipe"), (Bench(job_dir, split="1" * 64), "split")):
        refused = [event for event in bench.told if isinstance(event, CheckpointRefused)]
        assert bench.standing.step == 0
        assert [event.step for event in refused] == [2, 1] and all(reason in event.reason for event in refused)


def test_the_order_of_a_recipe_s_knobs_does_not_matter(job_dir: Path) -> None:
    Bench(job_dir).steps(1)
    turned = RECIPE.model_copy(update={"knobs": dict(reversed(RECIPE.knobs.items()))})
    assert Bench(job_dir, recipe=turned).standing.step == 1


def test_a_damaged_one_is_replaced_when_its_step_comes_again(job_dir: Path) -> None:
    Bench(job_dir).steps(2)
    flip_a_byte(newest(job_dir) / STATE)
    Bench(job_dir).steps(1)
    found = newest_whole(job_dir)
    assert found and found.manifest.step == 2
    assert not list((job_dir / CHECKPOINTS).glob("*.partial"))


def test_the_newest_and_the_best_are_kept(job_dir: Path) -> None:
    bench = Bench(job_dir, keep_checkpoints=2).steps(1)
    bench.step(is_best=True)
    bench.save()
    bench.steps(4)
    assert steps_in(job_dir) == [6, 5, 2]


def test_those_of_steps_that_were_refused_go_once_a_newer_is_in_place(job_dir: Path) -> None:
    Bench(job_dir, keep_checkpoints=3).steps(3)
    for folder in checkpoint_folders(job_dir)[:2]:
        flip_a_byte(folder / STATE)
    bench = Bench(job_dir, keep_checkpoints=3)
    assert len(checkpoint_folders(job_dir)) == 3
    bench.steps(1)
    assert steps_in(job_dir) == [2, 1]


def test_what_a_crash_left_half_done_is_swept_out(job_dir: Path) -> None:
    Bench(job_dir).steps(1)
    (job_dir / CHECKPOINTS / "step-00000009.partial").mkdir()
    (job_dir / CHECKPOINTS / "step-00000009.partial" / STATE).write_text("half")
    Bench(job_dir)
    assert [path.name for path in (job_dir / CHECKPOINTS).iterdir()] == ["step-00000001"]


def test_nothing_is_saved_twice(job_dir: Path) -> None:
    bench = Bench(job_dir).steps(1)
    bench.save()
    again = Bench(job_dir)
    again.save()
    assert len([event for event in bench.told + again.told if isinstance(event, CheckpointSaved)]) == 1


def test_a_write_that_fails_halfway_is_told_and_harms_nothing(job_dir: Path) -> None:
    bench = Bench(job_dir, keep_checkpoints=1).steps(1)
    bench.step()
    with files_no_longer_than(200), pytest.raises(OSError, match="File too large"):
        bench.save()
    assert [path.name for path in (job_dir / CHECKPOINTS).iterdir()] == ["step-00000001"]
    assert newest_whole(job_dir)
    bench.save()
    assert steps_in(job_dir) == [2]


def test_a_folder_that_cannot_be_written_in_is_told(job_dir: Path) -> None:
    """A file in the way stands for missing rights, which do not bind root."""
    bench = Bench(job_dir)
    bench.step()
    (job_dir / CHECKPOINTS).rmdir()
    (job_dir / CHECKPOINTS).write_text("in the way")
    with pytest.raises(NotADirectoryError):
        bench.save()
    assert not [event for event in bench.told if isinstance(event, CheckpointSaved)]


def test_too_little_room_is_told_before_anything_is_written(job_dir: Path) -> None:
    bench = Bench(job_dir, min_free_bytes=10**18).steps(0)
    bench.step()
    with pytest.raises(TrainingError, match=r"MB free, and 1,000,000,000,000 MB are needed") as caught:
        bench.save()
    assert caught.value.code == "storage_full"
    assert list((job_dir / CHECKPOINTS).iterdir()) == []


@pytest.mark.parametrize("is_damaged", [False, True], ids=["a new step", "over a damaged one"])
def test_wherever_the_commit_dies_a_whole_one_is_left(is_damaged: bool, job_dir: Path, tmp_path: Path) -> None:
    Bench(job_dir).steps(3)
    if is_damaged:
        flip_a_byte(newest(job_dir) / STATE)
    template = shutil.copytree(job_dir, tmp_path / "template")
    old = steps_in(job_dir)[is_damaged]
    seen: list[int] = []

    def lay_out() -> None:
        shutil.rmtree(job_dir)
        shutil.copytree(template, job_dir)

    def is_still_whole(point: int) -> None:
        left = newest_whole(job_dir)
        assert left is not None, point
        seen.append(left.manifest.step)
        again = Bench(job_dir).steps(1)
        after = newest_whole(job_dir)
        assert after is not None and after.manifest.step == left.manifest.step + 1 == again.standing.step
        assert not list((job_dir / CHECKPOINTS).glob("*.partial"))

    points = crash_points("tests.engine.commits:save_one", job_dir, prepare=lay_out, check=is_still_whole)
    print(f"{points} points")  # noqa: T201
    assert points >= 20
    # Before the rename the old one, from then on the new one, and never back again.
    assert set(seen) == {old, old + 1} and seen == sorted(seen)
