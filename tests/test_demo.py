"""`manage.py demo` as the README has it: SmolLM2, a sample dataset, a verdict. Minutes long."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import PROJECT, environment_of_a_person

FIELDS = {
    "task", "method", "rows", "base_metric", "tuned_metric", "trainable_params", "total_params", "adapter_bytes",
    "full_checkpoint_bytes", "train_seconds", "total_seconds", "adapter_path",
}  # fmt: skip


@pytest.mark.slow
def test_the_demo_trains_smollm2_and_beats_the_base(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "manage.py", "demo", "--json", str(tmp_path / "figures.json")],
        cwd=PROJECT,
        env={**environment_of_a_person(), "GRAFTWORK_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures) >= FIELDS
    assert figures["base_metric"] < 0.1 and figures["tuned_metric"] > 0.8
    assert figures["adapter_bytes"] < figures["full_checkpoint_bytes"] / 20
    assert {"adapter_model.safetensors", "manifest.json"} <= {
        path.name for path in Path(figures["adapter_path"]).iterdir()
    }
