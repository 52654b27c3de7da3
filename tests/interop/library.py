"""AdapterHub's library in an environment of its own: it needs transformers 4, which cannot live beside ours.

The environment is made once and kept: in GRAFTWORK_TEST_ADAPTERS_ENV, or in the system's folder for temporary files.
"""

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.stack import environment_of_a_person

THERE = Path(__file__).parent / "there.py"
TORCH = importlib.metadata.version("torch").partition("+")[0]
WANTED = ["adapters==1.3.0", "transformers~=4.57.6", f"torch=={TORCH}"]


def python_of_the_library() -> Path:
    """Of an environment with all of it; a few minutes the first time."""
    kept = os.environ.get("GRAFTWORK_TEST_ADAPTERS_ENV")
    folder = Path(kept) if kept else Path(tempfile.gettempdir()) / f"graftwork-adapters-1.3.0-torch-{TORCH}"
    python = folder / "bin" / "python"
    if not (folder / "whole").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *WANTED], check=True)
        (folder / "whole").touch()
    return python


def ask(orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the library makes of them, all in one process; there.py says what can be ordered."""
    return run(THERE, orders)  # type: ignore[no-any-return]


def run(script: Path, orders: list[dict[str, Any]]) -> Any:
    """A script of ours among the library, which knows nothing else of us."""
    process = subprocess.run(
        [python_of_the_library(), "-I", script],
        input=json.dumps(orders),
        cwd="/",
        env={**environment_of_a_person(), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)
