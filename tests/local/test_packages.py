"""What the app imports is what its extras bring: a package that only the tests install is missing on other machines."""

import ast
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.stack import PROJECT


def test_the_app_imports_nothing_that_its_extras_do_not_bring() -> None:
    brought = brought_by("graftwork", {"train", "quantised"})
    owners = packages_distributions()
    strays = {
        f"{path.relative_to(PROJECT)}: {name}"
        for folder in ("webapp", "worker")
        for path in (PROJECT / folder).rglob("*.py")
        for name in imported(path) - sys.stdlib_module_names - {"webapp", "worker"}
        if not {canonicalize_name(owner) for owner in owners.get(name, [])} & brought
    }
    assert strays == set()


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def brought_by(name: str, extras: set[str], known: set[str] | None = None) -> set[str]:
    """All packages that installing this one brings, as their metadata says."""
    known = set() if known is None else known
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        return known
    for requirement in map(Requirement, lines):
        marker, key = requirement.marker, canonicalize_name(requirement.name)
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            is_new = key not in known
            known.add(key)
            if is_new or requirement.extras:
                brought_by(requirement.name, set(requirement.extras), known)
    return known
