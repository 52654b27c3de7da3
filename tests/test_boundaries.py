"""The second net under the walls: what a fresh process has really loaded. The first is import-linter."""

import subprocess
import sys
from pathlib import Path

import pytest

IMPORT_ALL = """
import os, sys, pkgutil, importlib
os.environ["DJANGO_SETTINGS_MODULE"] = "webapp.settings"
{setup}
root = importlib.import_module("{package}")
for module in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(" ".join(sorted({{name.split(".")[0] for name in sys.modules}})))
print(" ".join(sorted(sys.modules)))
"""


def loaded(package: str, *, setup: str = "") -> tuple[set[str], set[str]]:
    """Top-level packages, and all modules, in a process that imported everything under `package`."""
    code = IMPORT_ALL.format(package=package, setup=setup)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    packages, modules = done.stdout.splitlines()[-2:]
    return set(packages.split()), set(modules.split())


def test_the_web_loads_no_training_library() -> None:
    packages, _modules = loaded("webapp", setup="import django; django.setup()")
    assert "django" in packages
    assert not packages & {"torch", "transformers", "peft", "datasets", "safetensors", "numba", "worker"}


@pytest.mark.parametrize("package", ["worker.engine", "worker.base_models"])
def test_a_training_child_loads_neither_django_nor_celery(package: str) -> None:
    # Not "redis": sacrebleu's file locks bring its client in, unused, where it is installed.
    packages, modules = loaded(package)
    assert not packages & {"django", "celery", "kombu"}
    ours = {name for name in modules if name.startswith("webapp.")}
    assert all(name.startswith("webapp.contract") for name in ours)


def test_the_contract_loads_only_pydantic() -> None:
    packages, _modules = loaded("webapp.contract")
    assert not packages & {"django", "celery", "torch", "numpy", "pyarrow", "worker"}


def test_the_top_packages_are_empty() -> None:
    import webapp
    import worker

    for package in (webapp, worker):
        assert package.__file__ is not None
        assert Path(package.__file__).read_text() == ""
