"""How full the data folder is."""

from pathlib import Path

from webapp.home.storage_used import folder_bytes, storage_used


def test_it_counts_files_in_all_folders(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(10))
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "d").write_bytes(bytes(5))
    assert folder_bytes(tmp_path) == 15


def test_it_does_not_follow_links(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(bytes(1000))
    job = tmp_path / "job"
    job.mkdir()
    (job / "base_model").symlink_to(tmp_path / "model")
    assert folder_bytes(job) < 1000


def test_it_counts_at_most_once_a_minute(tmp_path: Path) -> None:
    before = storage_used(tmp_path)
    (tmp_path / "later").write_bytes(bytes(10))
    assert storage_used(tmp_path) == before
    assert before.free_bytes > 0
