"""llama.cpp's own converter of adapters, out of the source package of llama-cpp-python. Nothing is compiled.

It is fetched once (77 MB) and kept: in GRAFTWORK_TEST_LLAMA_CPP, or in the system's folder for temporary files.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tests.stack import environment_of_a_person

VERSION = "0.3.36"
TOLD = Path(__file__).parent / "gguf_told.py"


def sources() -> Path:
    """llama.cpp's folder."""
    kept = os.environ.get("GRAFTWORK_TEST_LLAMA_CPP")
    folder = Path(kept) if kept else Path(tempfile.gettempdir()) / f"graftwork-llama-cpp-python-{VERSION}"
    if not (folder / "whole").exists():
        wanted = ["--no-deps", "--no-binary", "llama-cpp-python", f"llama-cpp-python=={VERSION}"]
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "-d", folder, *wanted], check=True)
        with tarfile.open(folder / f"llama_cpp_python-{VERSION}.tar.gz") as archive:
            archive.extractall(folder, filter="data")
        (folder / "whole").touch()
    return folder / f"llama_cpp_python-{VERSION}" / "vendor" / "llama.cpp"


def convert(adapter: Path, base: Path, out: Path) -> "subprocess.CompletedProcess[str]":
    order = ["--base", base, "--outfile", out, "--outtype", "f32", adapter]
    return _run(sources() / "convert_lora_to_gguf.py", *order)


def told(path: Path) -> dict[str, Any]:
    """What the file holds; see gguf_told.py."""
    process = _run(TOLD, sources() / "gguf-py", path)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)  # type: ignore[no-any-return]


def _run(script: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    environment = {**environment_of_a_person(), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, script, *arguments], env=environment, capture_output=True, text=True)
