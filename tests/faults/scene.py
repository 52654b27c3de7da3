"""A data folder with a SQLite database in it, laid out anew before each point at which a commit dies."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection

from tests.databases import using_database
from tests.faults.crash_points import crash_points
from webapp.secret_key import new_key
from webapp.upkeep.stray_files import OLD_SECONDS, stray_files_collect

DATABASE = "graftwork.sqlite3"


class Scene:
    """`fill` puts into folder and database what is there before the commit. The test's own database must be an empty
    one of SQLite, see `sqlite_database`."""

    def __init__(self, folder: Path, fill: Callable[[], None]) -> None:
        self.root, self._template = folder / "home", folder / "template"
        self.url = f"sqlite:///{self.root / DATABASE}"
        self._template.mkdir()
        with _data_in(self._template):
            fill()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(self._template / DATABASE)])
        self.lay_out()

    def lay_out(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self._template, self.root, symlinks=True)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """As a fresh process would find it."""
        with _data_in(self.root), using_database(self.url, migrate=False):
            yield

    def die_everywhere(self, function: str, check: Callable[[int], None]) -> int:
        """`check` is called with the scene opened, after the commit died at each of its points, and once, with 0,
        after it did not. Returns how many points there were."""

        def look(point: int) -> None:
            with self.opened():
                check(point)

        points = crash_points(
            f"tests.faults.commits:{function}", self.root, prepare=self.lay_out, check=look,
            GRAFTWORK_HOME=str(self.root), GRAFTWORK_DATABASE_URL=self.url, GRAFTWORK_SECRET_KEY=new_key(),
        )  # fmt: skip
        print(f"{function}: {points} points")  # noqa: T201
        return points


def a_day_passes(folder: Path) -> list[Path]:
    """For all that lies in a folder of the data folder; returns what is then collected."""
    old = time.time() - OLD_SECONDS - 60
    for path in folder.iterdir() if folder.exists() else ():
        os.utime(path, (old, old))
    return stray_files_collect()


@contextmanager
def _data_in(folder: Path) -> Iterator[None]:
    before, settings.DATA_DIR = settings.DATA_DIR, folder
    try:
        yield
    finally:
        settings.DATA_DIR = before
