"""What the README says is so: its commands, its map, the top of the tree."""

import re
import subprocess
from pathlib import Path

from tests.stack import PROJECT
from webapp.contract.promises import PROMISES

README = (PROJECT / "README.md").read_text()
TOP = {"manage.py", "pyproject.toml", "README.md", "docker-compose.yml", "webapp", "worker", "templates", "tests"}


def kept_files() -> list[Path]:
    names = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in names.splitlines()]


def test_ci_runs_the_second_command_to_the_letter() -> None:
    _first, second = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)
    lines = (PROJECT / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == second


def test_every_place_on_the_map_exists() -> None:
    rows = re.findall(r"^\| (`[^|]*`) \|", README.split("## Map of files")[1].split("## ")[0], re.MULTILINE)
    places = [place for row in rows for place in re.findall(r"`([^`]+)`", row)]
    assert len(places) > 10
    assert [place for place in places if not (PROJECT / place).exists()] == []


def test_every_room_is_on_the_map() -> None:
    on_the_map = README.split("## Map of files")[1].split("## ")[0]
    rooms = {path.parts[1] for path in kept_files() if path.parts[0] == "webapp" and len(path.parts) > 2}
    assert {room for room in rooms if f"`webapp/{room}/`" not in on_the_map} == set()


def test_the_top_of_the_tree_is_what_the_owner_chose() -> None:
    assert {path.parts[0] for path in kept_files() if not path.parts[0].startswith(".")} == TOP


def test_pictures_are_there() -> None:
    for picture in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README):
        assert (PROJECT / picture).is_file()


def test_the_promises_are_those_that_help_shows() -> None:
    promised = re.findall(r"^- \*\*(P\d)\*\* (.+)$", README, re.MULTILINE)
    assert promised == [(promise.code, promise.sentence) for promise in PROMISES]
