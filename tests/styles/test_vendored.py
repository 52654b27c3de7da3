"""What we serve of others is what they published."""

import hashlib
import re
from pathlib import Path

import pytest

import webapp.styles

STATIC = Path(webapp.styles.__file__).resolve().parent.parent / "static"
VENDOR = STATIC / "vendor"
SUMS = dict(reversed(line.split("  ")) for line in (VENDOR / "SHA256SUMS").read_text().splitlines())


@pytest.mark.parametrize("name", SUMS)
def test_a_file_has_its_checksum(name: str) -> None:
    assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == SUMS[name]


def test_every_file_is_listed() -> None:
    files = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    assert files == set(SUMS) | {"SHA256SUMS"}


def test_every_folder_carries_its_licence() -> None:
    assert all((folder / "LICENSE").exists() for folder in VENDOR.iterdir() if folder.is_dir())


def test_every_icon_that_is_asked_for_exists() -> None:
    pages = "".join(path.read_text("utf-8") for path in (STATIC.parent.parent / "templates").rglob("*.html"))
    known = set(re.findall(r'<symbol id="([^"]+)"', (VENDOR / "lucide" / "icons.svg").read_text()))
    asked = set(re.findall(r'(?:_icon\.html" with name|_empty\.html" with icon)="([^"]+)"', pages))
    assert asked
    assert asked <= known
